// What the parts of the app need of it.

import type { Input, State } from './store/state';

export interface Host {
  readonly me: string;
  readonly state: State;
  dispatch(input: Input): void;
  /** A request as this person; a session that has ended is renewed once. */
  authorized<T>(call: (bearer: string) => Promise<T>): Promise<T>;
}
