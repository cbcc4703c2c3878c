// Which transport this tab uses. Evidence in, choice out; the clock and randomness come from outside.
//
// It goes down after a few failures in a row that are the transport's own, and up again when a
// better one has been seen to work beside it. After the last it begins anew with the first, so
// that a tab that has moved to another network is never stuck.

import type { Backoff } from '../backoff';
import { isCount, isRecord } from '../guards';
import { TRANSPORTS, type TransportName } from './transport';

export interface Choice {
  readonly current: TransportName;
  /** What speaks against the current one: the weights of its failures in a row. */
  readonly against: number;
  /** Failed attempts, in a row, to get back to a better one. */
  readonly tries: number;
  /** The moment (ms since the epoch) of the next such attempt. */
  readonly betterAt?: number;
}

/** What failures weigh: some seconds of nothing say more, and cost the person more, than a refusal. */
export const REFUSED = 1;
export const SILENT = 2;
/** So much against it, and another is chosen. */
export const TOO_MUCH = 3;
export const BETTER: Backoff = { baseMs: 30_000, capMs: 600_000 };

export const FIRST_CHOICE: Choice = { current: 'websocket', against: 0, tries: 0 };

/** Those above the current one, best first. */
export const better = ({ current }: Choice): readonly TransportName[] => TRANSPORTS.slice(0, TRANSPORTS.indexOf(current));

/** The current one failed although plain HTTP is answered. */
export function failed(choice: Choice, weight: number, nowMs: number, random: () => number): Choice {
  const against = choice.against + weight;
  if (against < TOO_MUCH) return { ...choice, against };
  const next = TRANSPORTS[TRANSPORTS.indexOf(choice.current) + 1];
  if (!next) return FIRST_CHOICE;
  return { ...choice, current: next, against: 0, betterAt: choice.betterAt ?? nowMs + pauseMs(choice.tries, random) };
}

/** The current one has lasted a while. */
export function worked(choice: Choice): Choice {
  return choice.current === FIRST_CHOICE.current ? FIRST_CHOICE : { ...choice, against: 0 };
}

/** A better one has greeted: it is taken, and if it does not last, left again at once. */
export function upgraded(choice: Choice, to: TransportName, nowMs: number, random: () => number): Choice {
  const tries = choice.tries + 1;
  const betterAt = to === FIRST_CHOICE.current ? undefined : nowMs + pauseMs(tries, random);
  return { current: to, against: TOO_MUCH - REFUSED, tries, betterAt };
}

/** None of the better ones works yet. */
export function notYet(choice: Choice, nowMs: number, random: () => number): Choice {
  const tries = choice.tries + 1;
  return { ...choice, tries, betterAt: nowMs + pauseMs(tries, random) };
}

/** Something about the network has changed: what was learnt about it counts no more. */
export function changed(choice: Choice, nowMs: number): Choice {
  return choice.current === FIRST_CHOICE.current ? FIRST_CHOICE : { ...choice, against: 0, tries: 0, betterAt: nowMs };
}

/** What the tab remembered, if it makes sense. */
export function recalled(value: unknown, nowMs: number): Choice {
  const current = isRecord(value) ? TRANSPORTS.find((name) => name === value.current) : undefined;
  if (!isRecord(value) || !current || current === FIRST_CHOICE.current) return FIRST_CHOICE;
  const latest = nowMs + BETTER.capMs;
  const betterAt = isCount(value.betterAt) ? Math.min(value.betterAt, latest) : nowMs;
  return { current, against: 0, tries: isCount(value.tries) ? value.tries : 0, betterAt };
}

/** Between half the bound and the whole: neither all at the same time nor right away. */
function pauseMs(tries: number, random: () => number): number {
  const bound = Math.min(BETTER.capMs, BETTER.baseMs * 2 ** Math.min(tries, 30));
  return Math.floor((bound / 2) * (1 + random()));
}
