// The transports of plain HTTP, against a server of promises, on a simulated clock.

import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';

import { ApiError } from '../api/call';
import type { Accepted, PresenceFrame, SyncPage } from '../api/talk';
import { afterClose, closeCodeOf } from '../closes';
import type { ClientFrame, ServerFrame } from '../protocol';
import { HttpCommands } from './commands';
import { PollTransport, WAIT_SECONDS } from './poll';
import { SILENCE_MS, SseTransport } from './sse';
import type { Hello, Listener } from './transport';

const settled = (): Promise<unknown> => vi.advanceTimersByTimeAsync(0);

function hearing(): Listener & { frames: ServerFrame[]; ends: [number, number | undefined][] } {
  const frames: ServerFrame[] = [];
  const ends: [number, number | undefined][] = [];
  return { frames, ends, frame: (frame) => frames.push(frame), ended: (code, atLeastMs) => ends.push([code, atLeastMs]) };
}
const page = (token: string, more = false, conversations: SyncPage['conversations'] = []): SyncPage => ({
  type: 'sync',
  token,
  more,
  conversations,
});
const everybody = async (userIds: readonly string[]): Promise<PresenceFrame[]> =>
  userIds.map((userId) => ({ type: 'presence', userId, state: 'online' }));
const SOMETHING = [{ conversation: { conversationId: 'd.a.b' }, messages: [] }] as unknown as SyncPage['conversations'];

/** Answers that the test gives when it likes. */
function asked<T>(): { calls: unknown[][]; ask(...call: unknown[]): Promise<T>; answers(value: T): Promise<unknown>; fails(error: unknown): Promise<unknown> } {
  const calls: unknown[][] = [];
  let resolve: (value: T) => void = () => undefined;
  let reject: (error: unknown) => void = () => undefined;
  return {
    calls,
    ask: (...call) => {
      calls.push(call);
      call.find((one) => one instanceof AbortSignal)?.addEventListener('abort', () => reject(new Error('aborted')));
      return new Promise<T>((yes, no) => ([resolve, reject] = [yes, no]));
    },
    answers: (value) => (resolve(value), settled()),
    fails: (error) => (reject(error), settled()),
  };
}

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

describe('the stream', () => {
  function begin(since?: string) {
    const listener = hearing();
    const request = asked<Response>();
    const pages = asked<SyncPage>();
    const commands: ClientFrame[] = [];
    const hello = (): Hello => ({ type: 'hello', sessionToken: 's', deviceId: 'dev_1', since });
    const transport = new SseTransport(
      {
        hello,
        fetch: (path, init) => request.ask(path, init),
        sync: (token) => pages.ask(token),
        command: (frame) => commands.push(frame) > 0,
        presence: everybody,
        visible: () => true,
      },
      listener,
    );
    let stream: ReadableStreamDefaultController<Uint8Array> | undefined;
    const opens = (type = 'text/event-stream'): Promise<unknown> => {
      const body = new ReadableStream<Uint8Array>({ start: (controller) => void (stream = controller) });
      return request.answers(new Response(body, { headers: { 'Content-Type': type } }));
    };
    const says = (text: string): Promise<unknown> => {
      stream?.enqueue(new TextEncoder().encode(text));
      return settled();
    };
    const ends = (): Promise<unknown> => {
      stream?.close();
      return settled();
    };
    const init = (): RequestInit => request.calls[0]?.[1] as RequestInit;
    return { transport, listener, request, pages, commands, opens, says, ends, init };
  }

  it('asks with the session and the position, and neither is in the address', () => {
    const { request, init } = begin('T1');
    expect(request.calls[0]?.[0]).toBe('v1/stream');
    expect(init().headers).toEqual({ Accept: 'text/event-stream', Authorization: 'Bearer s', 'Last-Event-ID': 'T1' });
    expect(begin().init().headers).not.toHaveProperty('Last-Event-ID');
  });

  it('gives the frames, however they are cut', async () => {
    const { listener, opens, says } = begin();
    await opens();
    await says('retry: 1000\n\nevent: caughtUp\nid: T\ndata: {"type":"caug');
    expect(listener.frames).toEqual([]);
    await says('htUp","token":"T"}\n\nevent: new\ndata: {"type":"new"}\n\ndata: no json\n\n');
    expect(listener.frames).toEqual([{ type: 'caughtUp', token: 'T' }]);
    expect(listener.ends).toEqual([]);
  });

  it('carries who is there, until it is over', async () => {
    const { listener, opens, transport, commands, ends } = begin();
    await opens();
    expect(transport.send({ type: 'presence.watch', userIds: ['bob'] })).toBe(true);
    await settled();
    expect(listener.frames).toEqual([{ type: 'presence', userId: 'bob', state: 'online' }]);
    expect(commands).toEqual([]);
    await ends();
    await vi.advanceTimersByTimeAsync(60_000);
    expect(listener.frames).toHaveLength(1);
  });

  it('ends with the stream, and says how soon to come back', async () => {
    const { listener, opens, says, ends } = begin();
    await opens();
    await says('retry: 1000\n\n');
    await ends();
    expect(listener.ends).toEqual([[1006, 1_000]]);
  });

  it('lives by comments, and ends in silence', async () => {
    const { listener, opens, says, transport } = begin();
    await opens();
    for (let i = 0; i < 5; i += 1) {
      await vi.advanceTimersByTimeAsync(20_000);
      await says(':\n\n');
      transport.check();
    }
    expect(listener.ends).toEqual([]);
    await vi.advanceTimersByTimeAsync(SILENCE_MS);
    expect(listener.ends).toEqual([[4408, undefined]]);
  });

  it('is not trusted when it is overdue and the person comes back', async () => {
    const { listener, opens, transport } = begin();
    await opens();
    await vi.advanceTimersByTimeAsync(26_000);
    transport.check();
    expect(listener.ends).toEqual([[4408, undefined]]);
  });

  it('takes no other page for a stream', async () => {
    const { listener, opens } = begin();
    await opens('text/html');
    expect(listener.ends).toEqual([[1006, undefined]]);
  });

  it('tells a refusal of the server from one of a proxy', async () => {
    const problem = (status: number, code: string, after = ''): Response =>
      new Response(JSON.stringify({ code, title: code }), { status, headers: after ? { 'Retry-After': after } : {} });
    for (const [answer, code] of [
      [problem(401, 'unauthenticated'), 4401],
      [problem(503, 'unavailable', '2'), 4503],
      [new Response('<h1>No</h1>', { status: 403 }), 1006],
      [new Response('', { status: 502 }), 1006],
    ] as const) {
      const { listener, request } = begin();
      await request.answers(answer);
      await settled();
      expect(listener.ends).toEqual([[code, code === 4503 ? 2_000 : 0]]);
    }
  });

  it('asks for what is missing beside the stream, page by page', async () => {
    const { listener, opens, transport, pages } = begin('T1');
    await opens();
    expect(transport.send({ type: 'sync', ref: 'sync-1', since: 'T1' })).toBe(true);
    await pages.answers(page('P1', true, SOMETHING));
    await pages.answers(page('T2', false, SOMETHING));
    expect(pages.calls).toEqual([['T1'], ['P1']]);
    expect(listener.frames.map(({ type }) => type)).toEqual(['sync', 'sync', 'caughtUp']);
    transport.send({ type: 'sync', ref: 'sync-2', since: 'T2' });
    await pages.fails(new ApiError(503, 'unavailable', 'later', 500));
    expect(listener.frames.at(-1)).toEqual({ type: 'error', ref: 'sync-2', code: 'unavailable', message: 'later', retryAfterMs: 500 });
    expect(listener.ends).toEqual([]);
  });

  it('hands on what is to be said, and is quiet once closed', async () => {
    const { listener, opens, says, transport, commands, init } = begin();
    await opens();
    const frame: ClientFrame = { type: 'cursor.read', ref: 'r', conversationId: 'd.a.b', throughSeq: 1 };
    expect(transport.send(frame)).toBe(true);
    expect(commands).toEqual([frame]);
    transport.close();
    expect(init().signal?.aborted).toBe(true);
    await says('data: {"type":"pong"}\n\n');
    expect(transport.send(frame)).toBe(false);
    await vi.advanceTimersByTimeAsync(3_600_000);
    expect([listener.frames, listener.ends]).toEqual([[], []]);
  });
});

describe('the long poll', () => {
  function begin() {
    const listener = hearing();
    const pages = asked<SyncPage>();
    const state = { since: undefined as string | undefined, asking: 0 };
    const transport = new PollTransport(
      {
        userId: 'alice',
        hello: () => ({ type: 'hello', sessionToken: 's', deviceId: 'dev_1', since: state.since }),
        asking: () => (state.asking += 1),
        sync: (since, waitSeconds, signal) => pages.ask(since, waitSeconds, signal),
        command: () => true,
        presence: everybody,
        visible: () => true,
      },
      listener,
    );
    const queries = (): unknown[] => pages.calls.map(([since, wait]) => [since, wait]);
    /** As the state does it: only a last page is a position. */
    const answers = (answer: SyncPage): Promise<unknown> => {
      if (!answer.more) state.since = answer.token;
      return pages.answers(answer);
    };
    const types = (): string[] => listener.frames.map(({ type }) => type);
    return { transport, listener, pages, state, queries, answers, types };
  }

  it('greets with its first answer, then waits from where the state is', async () => {
    const { answers, queries, types, state, listener } = begin();
    expect(types()).toEqual([]);
    await answers(page('T1'));
    expect(types()).toEqual(['ready', 'sync', 'caughtUp']);
    expect(listener.frames[0]).toMatchObject({ userId: 'alice', deviceId: 'dev_1' });
    expect(queries()).toEqual([
      [undefined, 0],
      ['T1', WAIT_SECONDS],
    ]);
    // Every waiting request is a sync of its own: its page names all that changed.
    expect(state.asking).toBe(1);
    await answers(page('T2', false, SOMETHING));
    expect(types().slice(3)).toEqual(['sync', 'caughtUp']);
    expect(queries().at(-1)).toEqual(['T2', WAIT_SECONDS]);
    expect(state.asking).toBe(2);
  });

  it('goes through the pages by their own tokens', async () => {
    const { answers, queries, types, state } = begin();
    await answers(page('P1', true, SOMETHING));
    await answers(page('P2', true, SOMETHING));
    await answers(page('T1', false, SOMETHING));
    expect(queries()).toEqual([
      [undefined, 0],
      ['P1', 0],
      ['P2', 0],
      ['T1', WAIT_SECONDS],
    ]);
    expect(types()).toEqual(['ready', 'sync', 'sync', 'sync', 'caughtUp']);
    expect(state.asking).toBe(1);
  });

  it('carries who is there', async () => {
    const { answers, transport, listener } = begin();
    await answers(page('T1'));
    expect(transport.send({ type: 'presence.watch', userIds: ['bob'] })).toBe(true);
    await settled();
    expect(listener.frames.at(-1)).toEqual({ type: 'presence', userId: 'bob', state: 'online' });
  });

  it('does not ask in a circle', async () => {
    const { answers, pages } = begin();
    await answers(page('T1'));
    await answers(page('T1'));
    expect(pages.calls).toHaveLength(2);
    await vi.advanceTimersByTimeAsync(1_000);
    expect(pages.calls).toHaveLength(3);
  });

  it.each([
    [new ApiError(401, 'unauthenticated', ''), 4401, 0],
    [new ApiError(503, 'unavailable', '', 2_000), 4503, 2_000],
    [new ApiError(0, 'network', ''), 1006, 0],
    [new ApiError(502, 'http_502', ''), 1006, 0],
  ])('ends with %o', async (error, code, atLeastMs) => {
    const { pages, listener } = begin();
    await pages.fails(error);
    expect(listener.ends).toEqual([[code, atLeastMs]]);
    expect(pages.calls).toHaveLength(1);
  });

  it('does not wait for ever', async () => {
    const { answers, listener } = begin();
    await answers(page('T1'));
    await vi.advanceTimersByTimeAsync(WAIT_SECONDS * 1000 + 15_000);
    expect(listener.ends).toEqual([[4408, undefined]]);
  });

  it('asks anew when the person comes back', async () => {
    const { answers, transport, pages, listener } = begin();
    await answers(page('T1'));
    transport.check();
    await settled();
    expect(pages.calls).toHaveLength(2);
    await vi.advanceTimersByTimeAsync(6_000);
    transport.check();
    await settled();
    expect(pages.calls).toHaveLength(3);
    expect(listener.ends).toEqual([]);
  });

  it('is quiet once closed', async () => {
    const { answers, transport, pages, listener } = begin();
    await answers(page('T1'));
    transport.close();
    await vi.advanceTimersByTimeAsync(3_600_000);
    expect(pages.calls).toHaveLength(2);
    expect(listener.ends).toEqual([]);
    expect(transport.send({ type: 'sync', ref: 'sync-1' })).toBe(false);
  });
});

describe('commands by HTTP', () => {
  function begin() {
    const frames: ServerFrame[] = [];
    const message = asked<Accepted>();
    const cursor = asked<void>();
    const commands = new HttpCommands({
      message: (...call) => message.ask(...call),
      cursor: (...call) => cursor.ask(...call),
      onFrame: (frame) => frames.push(frame),
    });
    return { commands, frames, message, cursor };
  }
  const SEND: ClientFrame = { type: 'message.send', ref: 'send-c-1', conversationId: 'd.a.b', clientMessageId: 'c-1', body: { kind: 'text', text: 'x' } };

  it('answer a message as a socket would', async () => {
    const { commands, frames, message } = begin();
    expect(commands.send(SEND)).toBe(true);
    expect(message.calls).toEqual([['d.a.b', { clientMessageId: 'c-1', body: { kind: 'text', text: 'x' }, replyTo: undefined }]]);
    await message.answers({ messageId: 'm', conversationSeq: 4, version: 7 });
    expect(frames).toEqual([
      { type: 'message.ack', ref: 'send-c-1', conversationId: 'd.a.b', clientMessageId: 'c-1', messageId: 'm', conversationSeq: 4, version: 7 },
    ]);
  });

  it('report cursors', async () => {
    const { commands, frames, cursor } = begin();
    commands.send({ type: 'cursor.read', ref: 'cursor-1', conversationId: 'd.a.b', throughSeq: 3 });
    await cursor.answers();
    expect(cursor.calls).toEqual([['d.a.b', 'read', 3]]);
    expect(frames).toEqual([{ type: 'ack', ref: 'cursor-1' }]);
  });

  it.each([
    [new ApiError(409, 'client_message_id_reused', 'no'), 'client_message_id_reused', 0],
    [new ApiError(413, 'body_too_large', 'no'), 'body_too_large', 0],
    [new ApiError(0, 'network', 'no'), 'unavailable', 0],
    [new ApiError(502, 'http_502', 'no'), 'unavailable', 0],
    [new ApiError(429, 'rate_limited', 'no', 3_000), 'unavailable', 3_000],
  ])('tell what is final from what is worth another try: %o', async (error, code, retryAfterMs) => {
    const { commands, frames, message } = begin();
    commands.send(SEND);
    await message.fails(error);
    expect(frames).toEqual([{ type: 'error', ref: 'send-c-1', code, message: 'no', retryAfterMs }]);
  });

  it('leave what has no request, and are quiet once stopped', async () => {
    const { commands, frames, message } = begin();
    expect(commands.send({ type: 'typing', conversationId: 'd.a.b', typing: true })).toBe(false);
    commands.send(SEND);
    commands.stop();
    await message.answers({ messageId: 'm', conversationSeq: 4, version: 7 });
    expect(commands.send(SEND)).toBe(false);
    expect(frames).toEqual([]);
  });
});

describe('a refusal over HTTP', () => {
  it.each([
    [403, 'forbidden', 'end'],
    [403, 'http_403', 'reconnect'],
    [401, 'unauthenticated', 'renew'],
    [401, 'http_401', 'reconnect'],
    [429, 'rate_limited', 'reconnect'],
  ])('%i %s asks to %s', (status, code, what) => {
    expect(afterClose(closeCodeOf(new ApiError(status, code, ''))).do).toBe(what);
  });
});
