// What the contract lets a person do, so that the page offers nothing that would be refused.

import type { Role } from './api/groups';
import { isCard, type Member, type Message, type Summary } from './protocol';

const HOUR_MS = 60 * 60_000;
export const EDIT_WITHIN_MS = 24 * HOUR_MS;
export const DELETE_WITHIN_MS = 48 * HOUR_MS;

const young = (message: Message, nowMs: number, withinMs: number): boolean => nowMs - Date.parse(message.createdAt) < withinMs;

/** Its words; files stay as they are. */
export const editable = (message: Message, me: string, nowMs: number): boolean =>
  message.senderId === me && (message.body?.kind === 'text' || message.body?.kind === 'attachment') && young(message, nowMs, EDIT_WITHIN_MS);

/** What a service wrote only services take back; a plain text in a person's name is theirs all the same. */
const isServices = ({ body, byService }: Message): boolean => body?.kind === 'system' || (byService === true && isCard(body));

export const deletable = (message: Message, me: string, nowMs: number): boolean =>
  message.senderId === me && message.body !== null && !isServices(message) && young(message, nowMs, DELETE_WITHIN_MS);

export const roleOf = (summary: Summary, userId: string): Role | undefined => {
  const role = summary.members?.find((member) => member.userId === userId)?.role;
  return role === 'owner' || role === 'admin' || role === 'member' ? role : undefined;
};

/** Adds, removes, renames, sets the timer. */
export const manages = (summary: Summary, me: string): boolean => ['owner', 'admin'].includes(roleOf(summary, me) ?? '');

/** In a direct conversation both do; in others those who manage it. */
export const setsTimer = (summary: Summary, me: string): boolean =>
  summary.kind === 'direct' ? summary.canSend : manages(summary, me);

/** An admin removes members only; nobody removes themselves, they leave. */
export function removes(summary: Summary, me: string, other: Member): boolean {
  if (other.userId === me) return false;
  const mine = roleOf(summary, me);
  return mine === 'owner' || (mine === 'admin' && other.role === 'member');
}

export const belongs = (summary: Summary, me: string): boolean =>
  summary.kind === 'direct' || summary.members === undefined ? true : roleOf(summary, me) !== undefined;
