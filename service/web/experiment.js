export function startExperiment() {}
