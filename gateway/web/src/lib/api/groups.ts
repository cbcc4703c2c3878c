// Who is in a conversation, and what holds for everybody in it.

import { call, id, unexpected } from './call';

export type Role = 'owner' | 'admin' | 'member';

export async function createConversation(
  bearer: string,
  kind: 'group' | 'channel',
  title: string,
  memberIds: readonly string[],
): Promise<string> {
  const { conversationId } = await call('POST', 'v1/conversations', bearer, { kind, title, memberIds });
  if (typeof conversationId !== 'string') throw unexpected();
  return conversationId;
}

const path = (conversationId: string, rest: string): string => `v1/conversations/${id(conversationId)}/${rest}`;

/** Adds somebody, or changes the role of somebody who is there; `owner` passes the ownership on. */
export async function putMember(bearer: string, conversationId: string, userId: string, role: Role): Promise<void> {
  await call('PUT', path(conversationId, `members/${id(userId)}`), bearer, { role });
}

/** Of oneself: leave. */
export async function removeMember(bearer: string, conversationId: string, userId: string): Promise<void> {
  await call('DELETE', path(conversationId, `members/${id(userId)}`), bearer);
}

export async function rename(bearer: string, conversationId: string, title: string): Promise<void> {
  await call(title ? 'PUT' : 'DELETE', path(conversationId, 'title'), bearer, title ? { title } : undefined);
}

/** 0: messages stay. */
export async function setTimer(bearer: string, conversationId: string, seconds: number): Promise<void> {
  await call('PUT', path(conversationId, 'timer'), bearer, { seconds });
}

export async function block(bearer: string, conversationId: string, on: boolean): Promise<void> {
  await call(on ? 'PUT' : 'DELETE', path(conversationId, 'block'), bearer, on ? {} : undefined);
}
