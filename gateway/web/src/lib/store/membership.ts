// Who is in a conversation, in which role, and may therefore write.

import { isCount, text } from '../guards';
import type { Json, LogEvent, Member, Summary } from '../protocol';
import { toMembers } from '../reading';
import { withSummary, type Conversation } from './state';

export function created(conversation: Conversation, { data, time }: LogEvent, me: string): Conversation {
  const kind = text(data.kind) ?? conversation.summary.kind;
  const members = toMembers(data.members) ?? [];
  return withSummary(conversation, {
    kind,
    title: text(data.title),
    members,
    memberCount: members.length,
    ...writing(kind, members.find((one) => one.userId === me)?.role),
    createdAt: time,
  });
}

/** Joins, goes, or gets another role; the list itself is only known once somebody looked at it. */
export function membersChanged(conversation: Conversation, { type, actor, data }: LogEvent, me: string): Conversation {
  const { summary } = conversation;
  const user = text(data.userId) ?? actor;
  const role = text(data.role);
  const { members } = summary;
  switch (type) {
    case 'member.added': {
      const others = members?.filter((one) => one.userId !== user);
      const next = others && [...others, { userId: user, role }];
      const memberCount = told(data, next?.length ?? summary.memberCount + 1);
      return withSummary(conversation, { members: next, memberCount, ...(user === me ? writing(summary.kind, role) : {}) });
    }
    case 'member.removed':
    case 'member.left': {
      const heir = text(data.newOwnerId);
      const next = members?.filter((one) => one.userId !== user).map((one) => (one.userId === heir ? { ...one, role: 'owner' } : one));
      const memberCount = told(data, next?.length ?? Math.max(0, summary.memberCount - 1));
      const mine: Partial<Summary> = user === me ? { canSend: false } : heir === me ? { canSend: true } : {};
      // Who is out does not learn who stays.
      return withSummary(conversation, { members: next, memberCount, ...mine });
    }
    case 'member.roleChanged': {
      // Ownership is passed on by its owner, who stays as an admin.
      const passed = role === 'owner' ? actor : null;
      const next = members?.map((one): Member =>
        one.userId === user ? { ...one, role } : one.userId === passed ? { ...one, role: 'admin' } : one,
      );
      return withSummary(conversation, { members: next, ...(user === me ? writing(summary.kind, role) : {}) });
    }
    default:
      return conversation;
  }
}

/** The event says how many there are after it. */
const told = (data: Json, counted: number): number => (isCount(data.memberCount) ? data.memberCount : counted);

/** In a channel only owner and admins write. */
const writing = (kind: string, role: string | undefined): Partial<Summary> => ({
  canSend: role !== undefined && (kind !== 'channel' || role !== 'member'),
});

/** Either side may block, and both at once. */
export function blocked(conversation: Conversation, { actor, type, data }: LogEvent, me: string): Conversation {
  const on = type === 'conversation.blocked';
  // Whoever takes a block back learns whether the other one's is still there.
  const other = (known = false) => (on ? known : data.stillBlocked === true);
  const mine = actor === me ? on : other(conversation.summary.blockedByMe);
  const theirs = actor === me ? other(conversation.peerBlocks) : on;
  return withSummary({ ...conversation, peerBlocks: theirs }, { blockedByMe: mine, canSend: !mine && !theirs });
}

