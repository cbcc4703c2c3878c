// One new session for an ended one; many callers at once share it.

import { ApiError } from './api/call';
import type { Sessions, Signed } from './session';

export interface RenewalDeps {
  readonly sessions: Sessions;
  signed(): Signed | null;
  renewed(signed: Signed): void;
  /** The server lets nobody in under this name any more. */
  ended(): void;
}

export class Renewal {
  #running: Promise<boolean> | null = null;

  constructor(private readonly deps: RenewalDeps) {}

  /** False: refused. It throws if the server could not be asked. */
  renew(): Promise<boolean> {
    this.#running ??= this.#once().finally(() => (this.#running = null));
    return this.#running;
  }

  /** A request as this person, tried once more with a new session. */
  async authorized<T>(call: (bearer: string) => Promise<T>): Promise<T> {
    try {
      return await call(this.#bearer());
    } catch (error) {
      if (!(error instanceof ApiError) || error.status !== 401 || !this.deps.signed()) throw error;
      if (await this.renew()) return call(this.#bearer());
      this.deps.ended();
      throw error;
    }
  }

  async #once(): Promise<boolean> {
    const { accessToken, userId } = this.deps.signed() ?? {};
    if (!accessToken) return false;
    try {
      const signed = await this.deps.sessions.begin(accessToken);
      if (signed.userId !== userId) return false;
      this.deps.renewed(signed);
      return true;
    } catch (error) {
      // 0 and 5xx: not asked, not refused.
      if (error instanceof ApiError && error.status >= 400 && error.status < 500) return false;
      throw error;
    }
  }

  #bearer(): string {
    return this.deps.signed()?.sessionToken ?? '';
  }
}
