// The settings as the contract has them, read out of what the server keeps. What this page does not
// know of stays as it is when the rest is saved.

import { isRecord, text } from './guards';
import type { ChannelName, Json } from './protocol';

export type Visibility = 'everyone' | 'contacts' | 'nobody';

export interface Settings {
  readonly readReceipts: boolean;
  readonly presenceVisibility: Visibility;
  readonly notifications: Readonly<Record<ChannelName | 'preview', boolean>>;
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

/** The notifications with one switch turned; choices for single conversations stay. */
export const withNotification = (raw: Json = {}, name: ChannelName | 'preview', on: boolean): Json => ({
  notifications: { ...(isRecord(raw.notifications) ? raw.notifications : {}), [name]: on },
});
