/* Asking the service: answers, problems in its own words, and silence. */

const TIMEOUT_MS = 8000;

/** An answer that is no success: `status`, `problem` (the body of a problem+json, or null) and what it says. */
export class Refused extends Error {
  constructor(status, problem) {
    super(problem?.detail ?? `the service answered with status ${status}`);
    this.status = status;
    this.problem = problem;
  }
}

/** The service did not answer at all. */
export class Silent extends Error {}

/** The text of a path. Raises Refused or Silent. */
export async function getText(path) {
  return (await ask(path, {})).text();
}

/** The JSON of a path, waited for as long as `timeout` milliseconds. Raises Refused or Silent. */
export async function getJson(path, timeout = TIMEOUT_MS) {
  return json(await ask(path, {}, timeout));
}

/** The JSON answered to a JSON body. Raises Refused or Silent. */
export async function postJson(path, body, headers = {}) {
  const options = {
    method: "POST",
    headers: { "content-type": "application/json", ...headers },
    body: JSON.stringify(body),
  };
  return json(await ask(path, options));
}

async function ask(path, options, timeout = TIMEOUT_MS) {
  let response;
  try {
    const signal = AbortSignal.timeout(timeout);
    response = await fetch(path, { cache: "no-store", credentials: "omit", signal, ...options });
  } catch (error) {
    throw new Silent(error.name === "TimeoutError" ? `no answer within ${timeout / 1000} s` : "no answer");
  }
  if (response.ok) return response;
  throw new Refused(response.status, await problemOf(response));
}

async function json(response) {
  try {
    return await response.json();
  } catch {
    throw new Silent("the answer broke off");
  }
}

async function problemOf(response) {
  try {
    return await response.json();
  } catch {
    return null;
  }
}
