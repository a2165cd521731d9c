/* The last minutes of scrapes, and of the figures drawn from them. */

const AXES = [60, 120, 300];

export class History {
  /** Keeps `seconds` of scrapes. */
  constructor(seconds = 300) {
    this.seconds = seconds;
    this.scrapes = [];
    this.lines = new Map();
  }

  /** Adds a scrape: {at: milliseconds, samples}. */
  push(at, samples) {
    this.scrapes.push({ at, samples });
    this.scrapes = this.scrapes.filter((scrape) => scrape.at >= at - this.seconds * 1000);
  }

  get latest() {
    return this.scrapes.at(-1) ?? null;
  }

  /** Seconds that a chart shows: the shortest of AXES that holds what there is. */
  axis() {
    const seconds = this.latest ? (this.latest.at - this.scrapes[0].at) / 1000 : 0;
    return AXES.find((length) => length >= seconds) ?? this.seconds;
  }

  /** {now, then, seconds}: the latest scrape and the oldest of the last `seconds`; null with fewer than two. */
  over(seconds) {
    const now = this.latest;
    const then = this.scrapes.find((scrape) => now.at - scrape.at <= seconds * 1000);
    if (!now || !then || then === now) return null;
    return { now: now.samples, then: then.samples, seconds: (now.at - then.at) / 1000 };
  }

  /** Adds a point to the line of a name; null is a gap. */
  point(name, at, value) {
    const line = (this.lines.get(name) ?? []).filter(([when]) => when >= at - this.seconds * 1000);
    line.push([at, value]);
    this.lines.set(name, line);
  }

  /** [[at, value]] of a name. */
  line(name) {
    return this.lines.get(name) ?? [];
  }

  /** Breaks every line: nothing was seen at this time. */
  gap(at) {
    for (const name of this.lines.keys()) this.point(name, at, null);
  }
}
