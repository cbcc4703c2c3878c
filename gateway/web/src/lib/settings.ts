// The settings as the contract has them, read out of what the server keeps. What this page does not
// know of stays as it is when the rest is saved.

import { parseUrl } from './format';
import { isRecord, text } from './guards';
import type { ChannelName, Endpoint, Json } from './protocol';

export type Visibility = 'everyone' | 'contacts' | 'nobody';

/** By what one is told, and whether with what was written. */
export type Notice = ChannelName | 'preview';

export const CHANNELS: readonly (readonly [ChannelName, string])[] = [
  ['email', 'Email'],
  ['sms', 'SMS'],
  ['webpush', 'Browsers'],
  ['webhook', 'Webhooks'],
];

export interface Settings {
  readonly readReceipts: boolean;
  readonly presenceVisibility: Visibility;
  readonly notifications: Readonly<Record<Notice, boolean>>;
  readonly quietHours?: { readonly from: string; readonly to: string };
  readonly locale: string;
  readonly timeZone: string;
}

export function readSettings(raw: Json = {}): Settings {
  const notifications = isRecord(raw.notifications) ? raw.notifications : {};
  const on = (name: string): boolean => notifications[name] !== false;
  const quiet = isRecord(raw.quietHours) ? raw.quietHours : {};
  const [from, to] = [text(quiet.from), text(quiet.to)];
  const { presenceVisibility: visible } = raw;
  return {
    readReceipts: raw.readReceipts !== false,
    presenceVisibility: visible === 'contacts' || visible === 'nobody' ? visible : 'everyone',
    notifications: { email: on('email'), sms: on('sms'), webpush: on('webpush'), webhook: on('webhook'), preview: on('preview') },
    quietHours: from && to ? { from, to } : undefined,
    locale: text(raw.locale) ?? 'en',
    timeZone: text(raw.timeZone) ?? 'UTC',
  };
}

const notificationsOf = (raw: Json): Json => (isRecord(raw.notifications) ? raw.notifications : {});
const choicesOf = (raw: Json): Json => {
  const { conversations } = notificationsOf(raw);
  return isRecord(conversations) ? conversations : {};
};

/** The notifications with one switch turned; choices for single conversations stay. */
export const withNotification = (raw: Json = {}, name: Notice, on: boolean): Json => ({
  notifications: { ...notificationsOf(raw), [name]: on },
});

/** What holds in this conversation alone; what is not there is as in general. */
export function choiceOf(raw: Json = {}, conversationId: string): Partial<Record<Notice, boolean>> {
  const own = choicesOf(raw)[conversationId];
  if (!isRecord(own)) return {};
  const names: readonly Notice[] = [...CHANNELS.map(([name]) => name), 'preview'];
  return Object.fromEntries(names.filter((name) => typeof own[name] === 'boolean').map((name) => [name, own[name]]));
}

/** One choice for a conversation made, or (without `on`) taken back; without any, nothing is left of it. */
export function withChoice(raw: Json = {}, conversationId: string, name: Notice, on: boolean | undefined): Json {
  const { [conversationId]: own, ...others } = choicesOf(raw);
  const { [name]: _, ...rest } = isRecord(own) ? own : {};
  const next = on === undefined ? rest : { ...rest, [name]: on };
  const conversations = Object.keys(next).length > 0 ? { ...others, [conversationId]: next } : others;
  return { notifications: { ...notificationsOf(raw), conversations } };
}

/** What is left to do before anything goes to this address. */
export function taskOf({ channel, state }: Endpoint): string | null {
  if (state === 'verified') return null;
  switch (channel) {
    case 'email':
      return 'Open the link that was sent there.';
    case 'sms':
      return 'Enter the code that was sent there.';
    case 'webhook':
      return 'The receiver opens the link that was posted there.';
    default:
      return 'Not verified yet.';
  }
}

/** An address that a webhook may have; what else is not right the server says. */
export function webhookUrl(typed: string): string | null {
  const url = parseUrl(typed.trim());
  return url?.protocol === 'https:' && !url.username && !url.password && !url.hash ? url.href : null;
}
