// Words for people: times, names, prices, previews. Pure; the present moment comes in.

import type { Body, Message } from './protocol';

const MINUTE = 60_000;
const DAY = 24 * 60 * MINUTE;

const cached = (options: Intl.DateTimeFormatOptions): ((at: Date) => string) => {
  let format: Intl.DateTimeFormat | undefined;
  return (at) => (format ??= new Intl.DateTimeFormat(undefined, options)).format(at);
};
const hourMinute = cached({ hour: '2-digit', minute: '2-digit' });
const weekdayShort = cached({ weekday: 'short' });
const weekdayLong = cached({ weekday: 'long' });
const dayMonth = cached({ day: 'numeric', month: 'short' });
const dayMonthLong = cached({ weekday: 'long', day: 'numeric', month: 'long' });
const dayMonthYear = cached({ day: 'numeric', month: 'short', year: 'numeric' });
const whole = cached({ dateStyle: 'full', timeStyle: 'short' });

const midnight = (at: Date): number => new Date(at.getFullYear(), at.getMonth(), at.getDate()).getTime();

/** Calendar days between two moments, here. Rounded, for the days of 23 and 25 hours. */
const daysBetween = (earlier: Date, later: Date): number => Math.round((midnight(later) - midnight(earlier)) / DAY);

const parsed = (iso: string): Date | null => {
  const at = new Date(iso);
  return Number.isNaN(at.getTime()) ? null : at;
};

export const clock = (iso: string): string => {
  const at = parsed(iso);
  return at ? hourMinute(at) : '';
};

export const fullTime = (iso: string): string => {
  const at = parsed(iso);
  return at ? whole(at) : '';
};

/** For the list: short, and coarser the longer ago. */
export function shortTime(iso: string, now: Date): string {
  const at = parsed(iso);
  if (!at) return '';
  const age = now.getTime() - at.getTime();
  if (age < MINUTE) return 'now';
  if (age < 60 * MINUTE) return `${Math.floor(age / MINUTE)} min`;
  const days = daysBetween(at, now);
  if (days <= 0) return hourMinute(at);
  if (days === 1) return 'Yesterday';
  if (days < 7) return weekdayShort(at);
  return at.getFullYear() === now.getFullYear() ? dayMonth(at) : dayMonthYear(at);
}

/** A moment to come: the hour, with its day unless that is today. */
export function shortMoment(iso: string, now: Date): string {
  const at = parsed(iso);
  if (!at) return '';
  const days = daysBetween(now, at);
  return days === 0 ? hourMinute(at) : days === 1 ? `tomorrow ${hourMinute(at)}` : `${dayMonth(at)}, ${hourMinute(at)}`;
}

/** Beside the name of somebody who is not there. */
export function lastSeen(iso: string | undefined, now: Date): string {
  const at = iso ? parsed(iso) : null;
  if (!at) return '';
  const age = now.getTime() - at.getTime();
  if (age < MINUTE) return 'Last seen just now';
  if (age < 60 * MINUTE) return `Last seen ${Math.floor(age / MINUTE)} min ago`;
  const days = daysBetween(at, now);
  if (days <= 0) return `Last seen at ${hourMinute(at)}`;
  if (days === 1) return `Last seen yesterday at ${hourMinute(at)}`;
  return `Last seen on ${at.getFullYear() === now.getFullYear() ? dayMonth(at) : dayMonthYear(at)}`;
}

const REPLIES = [
  [5 * MINUTE, 'within minutes'],
  [60 * MINUTE, 'within an hour'],
  [6 * 60 * MINUTE, 'within a few hours'],
  [DAY, 'within a day'],
  [4 * DAY, 'within a few days'],
] as const;

/** How fast somebody answers, as far as it is worth waiting for. */
export function repliesIn(seconds: number | undefined): string {
  const found = REPLIES.find(([ms]) => seconds !== undefined && seconds * 1000 <= ms);
  return found ? `Usually replies ${found[1]}` : '';
}

/** For the separators between days. */
export function dayLabel(iso: string, now: Date): string {
  const at = parsed(iso);
  if (!at) return '';
  const days = daysBetween(at, now);
  if (days <= 0) return 'Today';
  if (days === 1) return 'Yesterday';
  if (days < 7) return weekdayLong(at);
  return at.getFullYear() === now.getFullYear() ? dayMonthLong(at) : dayMonthYear(at);
}

export const sameDay = (a: string, b: string): boolean => {
  const [first, second] = [parsed(a), parsed(b)];
  return first !== null && second !== null && midnight(first) === midnight(second);
};

export const dayKey = (iso: string): string => {
  const at = parsed(iso);
  return at ? `${at.getFullYear()}-${at.getMonth()}-${at.getDate()}` : '';
};

/** One or two letters that stand for a name. */
export function initials(name: string): string {
  const words = name
    .replace(/([a-z])([A-Z])/g, '$1 $2')
    .split(/[\s_-]+/)
    .filter((word) => /[\p{L}\p{N}]/u.test(word));
  return (words.length > 0 ? words : ['?'])
    .slice(0, 2)
    .map((word) => [...word][0])
    .join('')
    .toUpperCase();
}

/** A colour angle that always is the same for a name; one of a few, so that two are equal or clearly different. */
export function hue(name: string): number {
  let hash = 0x811c9dc5;
  for (const letter of name) hash = Math.imul(hash ^ (letter.codePointAt(0) ?? 0), 0x01000193);
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
  return (((hash ^ (hash >>> 16)) >>> 0) % 12) * 30;
}

export function price(minor: number | undefined, currency: string | undefined): string | null {
  if (minor === undefined || !currency) return null;
  try {
    const format = new Intl.NumberFormat(undefined, { style: 'currency', currency });
    return format.format(minor / 10 ** (format.resolvedOptions().maximumFractionDigits ?? 2));
  } catch {
    return null;
  }
}

export function parseUrl(url: string): URL | null {
  try {
    return new URL(url);
  } catch {
    return null;
  }
}

/** Only addresses that a browser may safely open. */
export function safeUrl(url: string | undefined): string | null {
  const address = url ? parseUrl(url) : null;
  return address?.protocol === 'https:' || address?.protocol === 'http:' ? address.href : null;
}

export const CARD_NAMES = { listing: 'Listing', order: 'Order', shipment: 'Shipment', return: 'Return' } as const;

export function bodyPreview(body: Body): string {
  switch (body.kind) {
    case 'text':
    case 'system':
      return body.text;
    case 'attachment':
      return body.text || (body.attachments.length > 1 ? `${body.attachments.length} attachments` : (body.attachments[0]?.fileName ?? 'Attachment'));
    case 'listing':
    case 'order':
    case 'shipment':
    case 'return':
      return `${CARD_NAMES[body.kind]}: ${body.title || body.refId}`;
    case 'encrypted':
      return 'Encrypted message';
    case 'unknown':
      return 'Message';
  }
}

interface Gone {
  readonly deletedAt?: string;
  readonly expiresAt?: string;
}

/** Gone by its timer, whether or not the server has come to erase it. */
export const hasExpired = ({ deletedAt, expiresAt }: Gone): boolean =>
  expiresAt !== undefined && (deletedAt === undefined || Date.parse(deletedAt) >= Date.parse(expiresAt));

/** The server's reasons are parts of sentences. */
export const sentence = (words: string): string => words.charAt(0).toUpperCase() + words.slice(1);

export const goneText = (message: Gone): string =>
  message.deletedAt && !hasExpired(message) ? 'Message deleted' : 'Message expired';

export const preview = (message: Message): string => (message.body ? bodyPreview(message.body) : goneText(message)).replace(/\s+/g, ' ');

export interface Piece {
  readonly text: string;
  readonly href?: string;
}

/** Text with its web addresses found; marks that end a sentence are not part of an address. */
export function pieces(value: string): readonly Piece[] {
  const found: Piece[] = [];
  let from = 0;
  for (const match of value.matchAll(/https?:\/\/[^\s<>"]+/g)) {
    const address = match[0].replace(/[.,;:!?)\]}'’”]+$/, '');
    const href = safeUrl(address);
    if (!href) continue;
    if (match.index > from) found.push({ text: value.slice(from, match.index) });
    found.push({ text: address, href });
    from = match.index + address.length;
  }
  if (from < value.length) found.push({ text: value.slice(from) });
  return found;
}

export function fileSize(bytes: number | undefined): string {
  if (bytes === undefined) return '';
  const units = ['B', 'KB', 'MB', 'GB'];
  const step = bytes > 0 ? Math.min(units.length - 1, Math.floor(Math.log10(bytes) / 3)) : 0;
  return `${(bytes / 1000 ** step).toFixed(step > 0 && bytes / 1000 ** step < 10 ? 1 : 0)} ${units[step]}`;
}

/** The times that the contract knows after which messages disappear. */
export const TIMERS = [
  { seconds: 0, label: 'Off' },
  { seconds: 86_400, label: '24 hours' },
  { seconds: 604_800, label: '7 days' },
  { seconds: 7_776_000, label: '90 days' },
] as const;

export const timerLabel = (seconds: number): string => TIMERS.find((one) => one.seconds === seconds)?.label ?? `${seconds} s`;
