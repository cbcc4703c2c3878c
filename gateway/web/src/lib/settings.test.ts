import { describe, expect, it } from 'vitest';

import { choiceOf, readSettings, taskOf, webhookUrl, withChoice, withNotification } from './settings';

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

  it('differ for a conversation in what was chosen there, and in nothing else', () => {
    const raw = { notifications: { sms: false, conversations: { 'd.a.b': { email: false, pigeon: true }, 'd.a.c': 7 } }, locale: 'de' };
    expect(choiceOf(raw, 'd.a.b')).toEqual({ email: false });
    expect(choiceOf(raw, 'd.a.c')).toEqual({});
    expect(choiceOf(undefined, 'd.a.b')).toEqual({});
    expect(withChoice(raw, 'd.a.b', 'sms', true)).toEqual({
      notifications: { sms: false, conversations: { 'd.a.b': { email: false, pigeon: true, sms: true }, 'd.a.c': 7 } },
    });
  });

  it('forget a conversation in which everything is as in general again', () => {
    const raw = { notifications: { conversations: { 'd.a.b': { email: false } } } };
    expect(withChoice(raw, 'd.a.b', 'email', undefined)).toEqual({ notifications: { conversations: {} } });
    expect(withChoice({}, 'd.a.b', 'email', undefined)).toEqual({ notifications: { conversations: {} } });
  });
});

describe('an address', () => {
  it.each([
    ['email', /link/],
    ['sms', /code/],
    ['webhook', /receiver/],
    ['pigeon', /not verified/i],
  ])('of %s says what is left to do, until it is done', (channel, said) => {
    const endpoint = { endpointId: 'e', channel, address: 'x', state: 'pending' };
    expect(taskOf(endpoint)).toMatch(said);
    expect(taskOf({ ...endpoint, state: 'verified' })).toBeNull();
  });

  it('of a webhook is https, without user and fragment', () => {
    expect(webhookUrl(' https://shop.example/hook?a=1 ')).toBe('https://shop.example/hook?a=1');
    for (const no of ['', 'shop.example', 'http://shop.example/', 'https://me@shop.example/', 'https://shop.example/#x', 'ftp://shop.example/']) {
      expect(webhookUrl(no)).toBeNull();
    }
  });
});
