import { afterEach, expect, it, vi } from 'vitest';

import type { Host } from './host';
import { Own } from './own.svelte';
import type { Account, Json } from './protocol';
import type { State } from './store/state';

interface Asked {
  readonly settings: Json;
  answers(status: number, body: Json): Promise<void>;
}

const settled = (): Promise<void> => new Promise((done) => setTimeout(done));

/** A server that answers when it is told to. */
function begin(account: Account) {
  const asked: Asked[] = [];
  const state = { account } as State;
  const host: Host = {
    me: 'alice',
    state,
    dispatch: (input) => input.type === 'local.account' && Object.assign(state, { account: { ...state.account, ...input.account } }),
    authorized: (call) => call('token'),
  };
  vi.stubGlobal('fetch', (_: string, { body }: { body: string }) =>
    new Promise((resolve) =>
      asked.push({
        settings: JSON.parse(body) as Json,
        answers: (status, answer) => (resolve(Response.json(answer, { status })), settled()),
      }),
    ),
  );
  const happened = (version: number, settings: Json): void => void Object.assign(state, { account: { version, settings } });
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
