import { describe, expect, it } from 'vitest';

import { EventStreamParser, type StreamEvent } from './event-stream';

function read(...pieces: string[]): StreamEvent[] {
  const parser = new EventStreamParser();
  return pieces.flatMap((piece) => parser.push(piece));
}
const data = (...pieces: string[]): string[] => read(...pieces).map((event) => event.data);

describe('an event stream', () => {
  it('is events with a type, data and an id', () => {
    expect(read('event: token\nid: T\ndata: {"type":"token"}\n\n')).toEqual([
      { type: 'token', data: '{"type":"token"}', lastEventId: 'T' },
    ]);
  });

  it('ends its lines with LF, CR or CRLF', () => {
    for (const end of ['\n', '\r', '\r\n']) {
      expect(data(`data: one${end}${end}data: two${end}${end}`)).toEqual(['one', 'two']);
    }
  });

  it('is the same wherever it is cut', () => {
    const whole = '\uFEFF:hi\r\nretry: 1000\r\n\r\nevent: a\r\ndata: x: y\r\ndata:  two\r\rid: 7\ndata\n\n:\n\ndata: grüße 🙂\r\n\r\n';
    const expected = [
      { type: 'a', data: 'x: y\n two', lastEventId: '' },
      { type: 'message', data: '', lastEventId: '7' },
      { type: 'message', data: 'grüße 🙂', lastEventId: '7' },
    ];
    expect(read(whole)).toEqual(expected);
    expect(read(...whole.split(''))).toEqual(expected);
    for (let at = 0; at <= whole.length; at += 1) {
      expect(read(whole.slice(0, at), whole.slice(at))).toEqual(expected);
    }
  });

  it('joins the lines of its data', () => {
    expect(data('data: one\ndata: two\ndata:\n\n')).toEqual(['one\ntwo\n']);
  });

  it('takes away one space after the colon and no more', () => {
    expect(data('data:x\n\ndata: x\n\ndata:  x\n\n')).toEqual(['x', 'x', ' x']);
  });

  it('passes over comments and fields that it does not know', () => {
    expect(data(':\n\n: hello\ndata: x\nfoo: bar\nfoo\n\n')).toEqual(['x']);
  });

  it('has no event without data, and a type is for one event', () => {
    expect(read('event: a\n\ndata: x\n\n')).toEqual([{ type: 'message', data: 'x', lastEventId: '' }]);
  });

  it('keeps an id until the next one', () => {
    const ids = read('id: 1\ndata: a\n\ndata: b\n\nid: 2\0\ndata: c\n\nid\ndata: d\n\n').map((event) => event.lastEventId);
    expect(ids).toEqual(['1', '1', '1', '']);
  });

  it('tells how soon to come back', () => {
    const parser = new EventStreamParser();
    expect(parser.retryMs).toBeUndefined();
    parser.push('retry: 1000\nretry: soon\nretry: -5\n');
    expect(parser.retryMs).toBe(1_000);
  });

  it('loses what had not ended', () => {
    expect(data('data: x\n\ndata: y\n')).toEqual(['x']);
  });

  it('strips one byte order mark, at its start only', () => {
    expect(data('\uFEFFdata: x\n\n', '\uFEFFdata: y\n\n')).toEqual(['x']);
  });
});
