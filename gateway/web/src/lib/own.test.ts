import { afterEach, expect, it, vi } from 'vitest';

import type { Host } from './host';
import { Own } from './own.svelte';
import type { Account, Json } from './protocol';
import { apply } from './store/apply';
import { initialState, type State } from './store/state';

interface Asked {
  readonly path: string;
  readonly settings: Json;
  answers(status: number, body: Json): Promise<void>;
}

const settled = (): Promise<void> => new Promise((done) => setTimeout(done));

/** A server that answers when it is told to. */
function begin(account: Account) {
  const asked: Asked[] = [];
  let state: State = { ...initialState('alice'), account };
  const host: Host = {
    me: 'alice',
    get state() {
      return state;
    },
    dispatch: (input) => void (state = apply(state, input)),
    authorized: (call) => call('token'),
  };
  vi.stubGlobal('fetch', (path: string, { body = '{}' }: { body?: string }) =>
    new Promise((resolve) =>
      asked.push({
        path,
        settings: JSON.parse(body) as Json,
        answers: (status, answer) => (resolve(Response.json(answer, { status })), settled()),
      }),
    ),
  );
  const happened = (version: number, settings: Json): void =>
    host.dispatch({
      type: 'event',
      event: { id: `e-${version}`, type: 'preferences.set', subject: 'a.alice', time: '2026-11-22T12:00:00.000Z', version, actor: 'alice', data: settings },
    });
  return { own: new Own(host), asked, happened };
}

afterEach(() => vi.unstubAllGlobals());

it('two changes one after the other are both kept, and shown all the time', async () => {
  const { own, asked, happened } = begin({ version: 7, settings: { locale: 'en' } });
  const first = own.set(() => ({ readReceipts: false }));
  const second = own.set(({ notifications }) => ({ notifications: { ...(notifications as Json), sms: false } }));
  const both = { locale: 'en', readReceipts: false, notifications: { sms: false } };
  expect(own.settings).toEqual(both);
  await settled();
  expect(asked.map(({ settings }) => settings)).toEqual([{ locale: 'en', readReceipts: false }]);

  await asked[0]?.answers(200, { version: 8 });
  await first;
  // Its event is still on its way.
  expect(asked[1]?.settings).toEqual(both);
  expect(own.settings).toEqual(both);
  happened(8, { locale: 'en', readReceipts: false });
  expect(own.settings).toEqual(both);
  await asked[1]?.answers(200, { version: 9 });
  await second;
  expect(own.settings).toEqual(both);
  happened(9, both);
  // What another device sets later holds.
  happened(10, { locale: 'de' });
  expect(own.settings).toEqual({ locale: 'de' });
});

it('what one person has changed is nothing to the next', async () => {
  const { own, asked, happened } = begin({ version: 7, settings: {} });
  const first = own.set(() => ({ locale: 'de' }));
  const waiting = own.set(() => ({ readReceipts: false }));
  await settled();
  own.reset();
  await asked[0]?.answers(200, { version: 8 });
  await Promise.all([first, waiting]);
  expect(asked).toHaveLength(1);
  happened(8, {});
  expect(own.settings).toEqual({});
});

it('what is refused is put back, and hinders nothing', async () => {
  const { own, asked } = begin({ version: 7, settings: {} });
  const refused = own.set(() => ({ timeZone: 'Nowhere' }));
  const kept = own.set(() => ({ locale: 'de' }));
  const fails = expect(refused).rejects.toThrow('no such zone');
  await settled();
  await asked[0]?.answers(422, { code: 'invalid_settings', detail: 'no such zone' });
  await fails;
  expect(own.settings).toEqual({ locale: 'de' });
  expect(asked[1]?.settings).toEqual({ locale: 'de' });
  await asked[1]?.answers(200, { version: 8 });
  await kept;
});

it('what is read while an event comes does not take it back', async () => {
  const { own, asked, happened } = begin({ version: 7 });
  const loaded = own.load();
  await settled();
  happened(8, { readReceipts: false });
  const answers: Json = { 'v1/settings': { readReceipts: true }, 'v1/contacts': { contacts: [] }, 'v1/devices': { devices: [] } };
  for (const { path, answers: answer } of asked) await answer(200, (answers[path] as Json | undefined) ?? { endpoints: [] });
  await loaded;
  expect(own.settings).toEqual({ readReceipts: false });

  // Once they are known they are not asked for again, nor put back to what they were.
  const again = own.load();
  await settled();
  happened(9, { readReceipts: true });
  await asked.at(-1)?.answers(200, { endpoints: [] });
  await again;
  expect(asked).toHaveLength(5);
  expect(own.settings).toEqual({ readReceipts: true });
});
