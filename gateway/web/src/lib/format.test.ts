import { describe, expect, it } from 'vitest';

import { socketUrl } from './address';
import { fileSize, initials, lastSeen, pieces, preview, price, repliesIn, safeUrl, shortTime } from './format';
import { countCharacters, directMembers, isUserId } from './protocol';
import { toBody, toMessage, toSummary } from './reading';
import { parseFrame } from './frames';
import { hrefOf, placeIn } from './router.svelte';

describe('words', () => {
  const now = new Date(2026, 10, 21, 12, 0);
  it.each([
    [new Date(2026, 10, 21, 11, 59, 30), 'now'],
    [new Date(2026, 10, 21, 11, 55), '5 min'],
    [new Date(2026, 10, 20, 23, 59), 'Yesterday'],
  ])('say when: %s', (at, expected) => expect(shortTime(at.toISOString(), now)).toBe(expected));

  it.each([
    [new Date(2026, 10, 21, 11, 59, 30), /^Last seen just now$/],
    [new Date(2026, 10, 21, 12, 0, 30), /^Last seen just now$/],
    [new Date(2026, 10, 21, 11, 55), /^Last seen 5 min ago$/],
    [new Date(2026, 10, 21, 8, 5), /^Last seen at .*8.05/],
    [new Date(2026, 10, 20, 23, 59), /^Last seen yesterday at .*59/],
    [new Date(2026, 10, 3, 8, 5), /^Last seen on .*3/],
    [new Date(2024, 10, 3, 8, 5), /^Last seen on .*2024/],
  ])('say when somebody was there: %s', (at, expected) => expect(lastSeen(at.toISOString(), now)).toMatch(expected));

  it.each([
    [0, 'Usually replies within minutes'],
    [301, 'Usually replies within an hour'],
    [3_600, 'Usually replies within an hour'],
    [20_000, 'Usually replies within a few hours'],
    [80_000, 'Usually replies within a day'],
    [200_000, 'Usually replies within a few days'],
    [2_000_000, ''],
    [undefined, ''],
  ])('say how fast somebody answers: %s', (seconds, expected) => expect(repliesIn(seconds)).toBe(expected));

  it('say nothing of a time that is not known', () => {
    expect(lastSeen(undefined, now)).toBe('');
    expect(lastSeen('soon', now)).toBe('');
  });

  it.each([
    ['alice', 'A'],
    ['tomas_wood', 'TW'],
    ['mara-ceramics', 'MC'],
    ['nordicVinyl', 'NV'],
    ['___', '?'],
  ])('shorten %s', (name, expected) => expect(initials(name)).toBe(expected));

  it('find addresses without the end of the sentence', () => {
    expect(pieces('See https://shop.example/a?b=1. Bye')).toEqual([
      { text: 'See ' },
      { text: 'https://shop.example/a?b=1', href: 'https://shop.example/a?b=1' },
      { text: '. Bye' },
    ]);
  });

  it('open only web addresses', () => {
    expect(safeUrl('javascript:alert(1)')).toBeNull();
    expect(safeUrl('data:text/html,x')).toBeNull();
    expect(safeUrl('https://shop.example/')).toBe('https://shop.example/');
  });

  it('price in the currency’s own unit', () => {
    expect(price(1999, 'EUR')).toMatch(/19[.,]99/);
    expect(price(500, 'JPY')).toMatch(/500/);
    expect(price(500, 'nonsense')).toBeNull();
    expect(fileSize(2_400_000)).toBe('2.4 MB');
  });

  it('preview what cannot be shown', () => {
    const message = { conversationId: 'd.a.b', conversationSeq: 1, senderId: 'a', version: 1 };
    expect(preview(toMessage({ ...message, body: null, deletedAt: 'x' })!)).toBe('Message deleted');
    expect(preview(toMessage({ ...message, body: { kind: 'hologram' } })!)).toBe('Message');
  });
});

describe('the contract', () => {
  it('names both people in a direct conversation’s id', () => {
    expect(directMembers('d.alice.bob')).toEqual(['alice', 'bob']);
    expect(directMembers('d.bob.alice')).toBeNull();
    expect(directMembers('d.a.a')).toBeNull();
    expect(directMembers('g.0193')).toBeNull();
  });

  it('counts characters after NFC', () => {
    expect(countCharacters('e\u0301')).toBe(1);
    expect(countCharacters('👍🏽')).toBe(2);
  });

  it('knows a user id', () => {
    expect(isUserId('Ab_9-x')).toBe(true);
    expect(isUserId('a b')).toBe(false);
    expect(isUserId('a'.repeat(65))).toBe(false);
  });

  it('survives anything a socket may say', () => {
    for (const raw of ['', '{', '[]', 'null', '{"type":"later"}', '{"type":"event"}', '{"type":"sync","conversations":[1,{}]}']) {
      expect(() => parseFrame(raw)).not.toThrow();
    }
    expect(parseFrame(new ArrayBuffer(2))).toBeNull();
    expect(parseFrame('{"type":"error","code":"blocked","message":"no"}')).toMatchObject({ code: 'blocked', retryAfterMs: 0 });
  });

  it('keeps an unknown body as one that cannot be shown', () => {
    expect(toBody({ kind: 'hologram', x: 1 })).toEqual({ kind: 'unknown', of: 'hologram' });
    expect(toBody(null)).toBeNull();
  });

  it('reads whether a service sent a message, and how fast somebody answers', () => {
    const base = { conversationId: 'd.a.b', conversationSeq: 1, senderId: 'a' };
    expect([true, false, 'yes', undefined].map((byService) => toMessage({ ...base, byService })?.byService)).toEqual([true, undefined, undefined, undefined]);
    const summary = { conversationId: 'd.a.b', lastSeq: 0, version: 0 };
    expect(toSummary({ ...summary, peerResponseSeconds: 90 })?.peerResponseSeconds).toBe(90);
    expect(toSummary(summary)?.peerResponseSeconds).toBeUndefined();
  });

  it('reads reactions as a map or a list', () => {
    const base = { conversationId: 'd.a.b', conversationSeq: 1, senderId: 'a' };
    for (const reactions of [{ '👍': ['a', 'b'] }, [{ emoji: '👍', userIds: ['a', 'b'] }], [{ emoji: '👍', userId: 'a' }, { emoji: '👍', userId: 'b' }]]) {
      expect(toMessage({ ...base, reactions })?.reactions).toEqual({ '👍': ['a', 'b'] });
    }
  });

  it.each([
    ['wss://rt.shop.example/v1/connect', 'https://shop.example/', 'wss://rt.shop.example/v1/connect'],
    ['https://shop.example/dm/v1/connect', 'https://shop.example/dm/', 'wss://shop.example/dm/v1/connect'],
    ['ws://127.0.0.1:8080/v1/connect', 'http://localhost:8080/', 'ws://localhost:8080/v1/connect'],
    ['', 'https://shop.example/dm/', 'wss://shop.example/dm/v1/connect'],
  ])('leads to the socket: %s from %s', (given, page, expected) => expect(socketUrl(given, page)).toBe(expected));

  it('addresses a conversation', () => {
    expect(placeIn(hrefOf('d.alice.bob'))).toEqual({ conversationId: 'd.alice.bob', seq: undefined });
    expect(placeIn(hrefOf('d.alice.bob', 7))).toEqual({ conversationId: 'd.alice.bob', seq: 7 });
    for (const hash of ['#/', '#/c/%', '#/c/d.a.b/x', '#/c/d.a.b/1/2']) expect(placeIn(hash)).toBeNull();
  });
});
