// One timer for everything that ends by itself, whatever waits.

/** Longer waits are cut into pieces: timers count in 31 bits. */
const LONGEST_MS = 60 * 60_000;
/** Clocks and timers round differently: not before the moment, and never in a tight loop. */
const SHORTEST_MS = 20;

export class Ends {
  #timer: ReturnType<typeof setTimeout> | undefined;
  #at = Infinity;

  constructor(private readonly over: () => void) {}

  /** The next moment at which something ends. */
  next(at: number): void {
    if (at === this.#at) return;
    clearTimeout(this.#timer);
    this.#at = at;
    if (at === Infinity) return;
    const wait = Math.min(LONGEST_MS, Math.max(SHORTEST_MS, at - Date.now()));
    this.#timer = setTimeout(() => {
      this.#at = Infinity;
      this.over();
    }, wait);
  }

  stop(): void {
    this.next(Infinity);
  }
}
