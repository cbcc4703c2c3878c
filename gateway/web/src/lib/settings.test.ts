import { describe, expect, it } from 'vitest';

import { readSettings, withNotification } from './settings';

describe('settings', () => {
  it('have defaults for what was never said', () => {
    expect(readSettings()).toEqual({
      readReceipts: true,
      presenceVisibility: 'everyone',
      notifications: { email: true, sms: true, webpush: true, webhook: true, preview: true },
      quietHours: undefined,
      locale: 'en',
      timeZone: 'UTC',
    });
  });

  it('are read as they are, and nonsense counts as not said', () => {
    const raw = { readReceipts: false, presenceVisibility: 'contacts', quietHours: { from: '22:00', to: '07:00' }, locale: 'de', timeZone: 'Europe/Berlin' };
    expect(readSettings(raw)).toMatchObject(raw);
    expect(readSettings({ presenceVisibility: 'friends', quietHours: { from: '22:00' }, notifications: 7 })).toEqual(readSettings());
  });

  it('keep what this page does not know when a switch is turned', () => {
    const raw = { notifications: { sms: false, conversations: { 'd.a.b': { email: false } }, pigeon: true } };
    expect(withNotification(raw, 'email', false)).toEqual({
      notifications: { sms: false, email: false, conversations: { 'd.a.b': { email: false } }, pigeon: true },
    });
  });
});
