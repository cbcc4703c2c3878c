import { describe, expect, it } from 'vitest';

import type { Message, Summary } from './protocol';
import { DELETE_WITHIN_MS, EDIT_WITHIN_MS, belongs, deletable, editable, manages, removes, setsTimer } from './rights';
import { ALICE, BOB, PAIR, messagesAfter, sentBy } from './store/model';
import { GROUP } from './store/model-group';
import { blankConversation } from './store/state';

const message = messagesAfter([sentBy(ALICE, 1, 1)])[0] as Message;
const sentAt = Date.parse(message.createdAt);

describe('messages', () => {
  it('are edited by their sender for a day, deleted for two', () => {
    expect(editable(message, ALICE, sentAt + EDIT_WITHIN_MS - 1)).toBe(true);
    expect(editable(message, ALICE, sentAt + EDIT_WITHIN_MS)).toBe(false);
    expect(deletable(message, ALICE, sentAt + DELETE_WITHIN_MS - 1)).toBe(true);
    expect(deletable(message, ALICE, sentAt + DELETE_WITHIN_MS)).toBe(false);
    expect(editable(message, BOB, sentAt) || deletable(message, BOB, sentAt)).toBe(false);
  });

  it('that are gone are left alone, and only words are edited', () => {
    const gone = { ...message, body: null };
    expect(editable(gone, ALICE, sentAt) || deletable(gone, ALICE, sentAt)).toBe(false);
    const card: Message = { ...message, body: { kind: 'listing', refId: 'l1', title: 'Desk' } };
    expect([editable(card, ALICE, sentAt), deletable(card, ALICE, sentAt)]).toEqual([false, true]);
    const files: Message = { ...message, body: { kind: 'attachment', attachments: [{ attachmentId: 'a' }] } };
    expect([editable(files, ALICE, sentAt), deletable(files, ALICE, sentAt)]).toEqual([true, true]);
    const posted: Message = { ...card, byService: true };
    expect([editable(posted, ALICE, sentAt), deletable(posted, ALICE, sentAt)]).toEqual([false, false]);
    expect(editable({ ...message, byService: true }, ALICE, sentAt)).toBe(true);
  });
});

describe('roles', () => {
  const group = (mine: string): Summary => ({
    ...blankConversation(GROUP, '').summary,
    members: [{ userId: ALICE, role: mine }, { userId: BOB, role: 'admin' }, { userId: 'carol', role: 'member' }],
  });
  const bob = { userId: BOB, role: 'admin' };
  const carol = { userId: 'carol', role: 'member' };

  it.each([
    ['owner', true, true, true],
    ['admin', true, false, true],
    ['member', false, false, false],
  ])('%s', (role, managing, removesAdmins, removesMembers) => {
    const summary = group(role);
    expect(manages(summary, ALICE)).toBe(managing);
    expect(setsTimer(summary, ALICE)).toBe(managing);
    expect(removes(summary, ALICE, bob)).toBe(removesAdmins);
    expect(removes(summary, ALICE, carol)).toBe(removesMembers);
    expect(removes(summary, ALICE, { userId: ALICE, role })).toBe(false);
  });

  it('are told from outside, and unknown while the members are', () => {
    expect(belongs(group('member'), ALICE)).toBe(true);
    expect(belongs(group('member'), 'dave')).toBe(false);
    expect(belongs({ ...group('member'), members: undefined }, ALICE)).toBe(true);
    expect(setsTimer(blankConversation(PAIR, '').summary, ALICE)).toBe(true);
  });
});
