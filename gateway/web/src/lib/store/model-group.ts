// For the tests: as model.ts, a tiny server, for a group or a channel and for an account.

import type { Account, LogEvent, Mark, Member, Message, Summary } from '../protocol';
import { ALICE, BOB, event, messagesAfter } from './model';
import { blankConversation } from './state';

export const GROUP = 'g.0193a1b2';
export const CHANNEL = 'c.0193a1b2';
export const CAROL = 'carol';
const DAVE = 'dave';

type Pick = () => number;
const one = <T>(of: readonly T[], pick: Pick): T => of[Math.floor(pick() * of.length)] as T;

/** A log as four people could have made it; `stays` never leaves. */
export function randomGroupLog(id: string, length: number, pick: Pick, stays: string): LogEvent[] {
  const people: Member[] = [ALICE, BOB, CAROL].map((userId, index) => ({ userId, role: ['owner', 'admin', 'member'][index] }));
  const roles = new Map(people.map((member) => [member.userId, member.role ?? '']));
  const log = [event(1, 'conversation.created', ALICE, { kind: id === GROUP ? 'group' : 'channel', title: 'Fair', members: people }, id)];
  const say = (type: string, actor: string, data: Record<string, unknown>): void =>
    void log.push(event(log.length + 1, type, actor, data, id));
  const read = new Map<string, number>();
  let last = 0;
  while (log.length < length) {
    const owner = [...roles].find(([, role]) => role === 'owner')?.[0] ?? '';
    const writers = [...roles].filter(([, role]) => id === GROUP || role !== 'member').map(([user]) => user);
    const user = one([...roles.keys()], pick);
    const what = pick();
    if (what < 0.4) {
      last += 1;
      const actor = one(writers, pick);
      read.set(actor, last);
      say('message.sent', actor, { conversationSeq: last, messageId: `m${last}`, clientMessageId: `c${last}`, body: { kind: 'text', text: `number ${last}` } });
    } else if (what < 0.55) {
      if ((read.get(user) ?? 0) >= last || !writers.includes(user)) continue;
      read.set(user, last);
      say('cursor.read', user, { userId: user, throughSeq: last });
    } else if (what < 0.68) {
      const out = [ALICE, BOB, CAROL, DAVE].filter((name) => !roles.has(name));
      if (out.length === 0) continue;
      const added = one(out, pick);
      roles.set(added, 'member');
      say('member.added', owner, { userId: added, role: 'member' });
    } else if (what < 0.78) {
      if (user === stays || user === owner) continue;
      roles.delete(user);
      say(pick() < 0.5 ? 'member.removed' : 'member.left', owner, { userId: user });
    } else if (what < 0.84) {
      const heir = [...roles.keys()].find((name) => name !== owner);
      if (!heir || owner === stays) continue;
      roles.delete(owner);
      roles.set(heir, 'owner');
      say('member.left', owner, { userId: owner, newOwnerId: heir });
    } else if (what < 0.93) {
      if (user === owner) continue;
      const role = one(['admin', 'member', 'owner'], pick);
      if (roles.get(user) === role) continue;
      roles.set(user, role);
      if (role === 'owner') roles.set(owner, 'admin');
      say('member.roleChanged', owner, { userId: user, role });
    } else if (what < 0.97) say('conversation.renamed', owner, { title: `Fair ${log.length}` });
    else say('conversation.timerSet', owner, { seconds: one([0, 86_400, 604_800], pick) });
  }
  return log;
}

/** The Summary, with members, that a fresh sync of `me` gives after `log`. */
export function groupSummaryAfter(id: string, log: readonly LogEvent[], me: string): Summary {
  const messages = messagesAfter(log);
  const members = membersAfter(log);
  const mine = members.find((member) => member.userId === me);
  const data = (type: string): Record<string, unknown> => log.findLast((each) => each.type === type)?.data ?? {};
  const title = data('conversation.renamed').title ?? data('conversation.created').title;
  const readSeq = Math.max(0, ...log.filter((each) => each.actor === me).map((each) => Number(each.data.throughSeq ?? each.data.conversationSeq ?? 0)));
  return {
    ...blankConversation(id, log[0]?.time ?? '').summary,
    kind: id === GROUP ? 'group' : 'channel',
    title: String(title),
    members,
    memberCount: members.length,
    lastSeq: messages.length,
    version: log.length,
    lastMessage: messages.at(-1),
    readSeq,
    deliveredSeq: readSeq,
    unread: messages.filter((each: Message) => each.senderId !== me && each.conversationSeq > readSeq).length,
    timerSeconds: Number(data('conversation.timerSet').seconds ?? 0),
    canSend: mine !== undefined && (id === GROUP || mine.role !== 'member'),
    updatedAt: log.at(-1)?.time ?? '',
  };
}

function membersAfter(log: readonly LogEvent[]): Member[] {
  const roles = new Map<string, string>();
  for (const { type, actor, data } of log) {
    const [user, role] = [String(data.userId), String(data.role)];
    if (type === 'conversation.created') for (const each of data.members as Member[]) roles.set(each.userId, each.role ?? '');
    if (type === 'member.added') roles.set(user, role);
    if (type === 'member.removed' || type === 'member.left') roles.delete(user);
    if (data.newOwnerId) roles.set(String(data.newOwnerId), 'owner');
    if (type === 'member.roleChanged') {
      roles.set(user, role);
      if (role === 'owner') roles.set(actor, 'admin');
    }
  }
  return [...roles].map(([userId, role]) => ({ userId, role }));
}

/** What one person does to their own account. */
export function randomAccountLog(length: number, pick: Pick, conversations: readonly string[]): LogEvent[] {
  return Array.from({ length }, (_, index): LogEvent => {
    const version = index + 1;
    const conversationId = one(conversations, pick);
    const savedAt = new Date(Date.UTC(2026, 10, 21) + Math.floor(pick() * 50) * 1000).toISOString();
    const made = one<() => [string, Record<string, unknown>]>(
      [
        () => ['conversation.muted', { conversationId, ...(pick() < 0.5 ? { until: '2030-01-01T00:00:00.000Z' } : {}) }],
        () => ['conversation.unmuted', { conversationId }],
        () => ['conversation.pinned', { conversationId }],
        () => ['conversation.unpinned', { conversationId }],
        () => ['conversation.archived', { conversationId, throughSeq: Math.floor(pick() * 4) }],
        () => ['conversation.unarchived', { conversationId }],
        () => ['draft.saved', { conversationId, text: `words ${version}`, savedAt }],
        () => ['draft.cleared', { conversationId, savedAt }],
        () => ['contact.added', { userId: one([BOB, CAROL, DAVE], pick) }],
        () => ['contact.removed', { userId: one([BOB, CAROL, DAVE], pick) }],
        () => ['preferences.set', { readReceipts: pick() < 0.5, locale: 'de' }],
        () => ['endpoint.added', { endpointId: one(['e1', 'e2'], pick), channel: 'email', address: 'a@example.com', state: one(['pending', 'verified'], pick) }],
        () => ['endpoint.removed', { endpointId: one(['e1', 'e2'], pick) }],
        () => ['device.registered', { deviceId: one(['dev_1', 'dev_2'], pick), platform: 'web' }],
        () => ['device.unlinked', { deviceId: one(['dev_1', 'dev_2'], pick) }],
      ],
      pick,
    )();
    return event(version, made[0], ALICE, made[1], `a.${ALICE}`);
  });
}

/** The account that a fresh sync tells after `log`; lists in the order of their ids. */
export function accountAfter(log: readonly LogEvent[]): Account {
  const [contacts, endpoints, devices] = [new Set<string>(), new Map<string, unknown>(), new Map<string, unknown>()];
  let settings: Account['settings'] = {};
  for (const { type, data, time } of log) {
    const { endpointId, deviceId, platform, userId } = data as Record<string, string>;
    if (type === 'contact.added') contacts.add(userId ?? '');
    if (type === 'contact.removed') contacts.delete(userId ?? '');
    if (type === 'endpoint.added') endpoints.set(endpointId ?? '', data);
    if (type === 'endpoint.removed') endpoints.delete(endpointId ?? '');
    if (type === 'device.registered') devices.set(deviceId ?? '', { deviceId, platform, registeredAt: time });
    if (type === 'device.unlinked') devices.delete(deviceId ?? '');
    if (type === 'preferences.set') settings = data;
  }
  const sorted = (of: Map<string, unknown>): unknown => [...of].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, value]) => value);
  const lists = { contacts: [...contacts].sort(), endpoints: sorted(endpoints), devices: sorted(devices) };
  return { version: log.length, settings, ...lists } as Account;
}

/** The same as a sync tells them: of a conversation that was marked. */
export function markAfter(log: readonly LogEvent[], conversationId: string): Mark {
  const archived = log.findLast((each) => each.data.conversationId === conversationId && /archived$/.test(each.type));
  const { muted = false, mutedUntil, pinned = false, draft, draftSavedAt } = marksAfter(log, conversationId, Infinity) as Mark;
  const archivedThroughSeq = archived?.type === 'conversation.archived' ? Number(archived.data.throughSeq) : undefined;
  return { conversationId, muted, mutedUntil, pinned, archivedThroughSeq, draft, draftSavedAt };
}

/** The marks that a fresh sync tells in the summary of one conversation whose last message is `lastSeq`. */
export function marksAfter(log: readonly LogEvent[], conversationId: string, lastSeq: number): Partial<Summary> & { draftSavedAt?: string } {
  const about = log.filter((each) => each.data.conversationId === conversationId);
  const latest = (...types: string[]): LogEvent | undefined => about.findLast((each) => types.includes(each.type));
  const muted = latest('conversation.muted', 'conversation.unmuted');
  const archived = latest('conversation.archived', 'conversation.unarchived');
  // The later one by the devices' clocks; of two at once the greater text.
  const [draft] = about
    .filter((each) => each.type.startsWith('draft.'))
    .map(({ data }) => ({ at: String(data.savedAt), words: String(data.text ?? '') }))
    .sort((a, b) => (a.at === b.at ? (a.words < b.words ? 1 : -1) : a.at < b.at ? 1 : -1));
  return {
    muted: muted?.type === 'conversation.muted',
    mutedUntil: muted?.data.until as string | undefined,
    pinned: latest('conversation.pinned', 'conversation.unpinned')?.type === 'conversation.pinned',
    archived: archived?.type === 'conversation.archived' && Number(archived.data.throughSeq) >= lastSeq,
    draft: draft?.words || undefined,
    draftSavedAt: draft?.at,
  };
}
