// What a person does to a conversation or a message. Nothing is shown before the log says it: the
// event comes back to this device as to all others, usually within milliseconds.

import { mark, mute, unmute } from './api/account';
import { block, createConversation, putMember, removeMember, rename, setTimer, type Role } from './api/groups';
import { createDirect, deleteMessage, editMessage, getReceipts, react, type Receipts } from './api/talk';
import type { Host } from './host';
import { sentBodyOf } from './outbox';
import type { Attachment } from './protocol';

export class Actions {
  constructor(private readonly host: Host) {}

  startDirect = (userId: string): Promise<string> => this.host.authorized((token) => createDirect(token, [this.host.me, userId]));

  create = (kind: 'group' | 'channel', title: string, memberIds: readonly string[]): Promise<string> =>
    this.host.authorized((token) => createConversation(token, kind, title, memberIds));

  /** Its words; the files of a message stay. */
  edit = (conversationId: string, seq: number, words: string, files?: readonly Attachment[]): Promise<void> => {
    const item = { text: words, files };
    return this.host.authorized((token) => editMessage(token, conversationId, seq, sentBodyOf(item)));
  };

  remove = (conversationId: string, seq: number): Promise<void> =>
    this.host.authorized((token) => deleteMessage(token, conversationId, seq));

  react = (conversationId: string, seq: number, emoji: string, on: boolean): Promise<void> =>
    this.host.authorized((token) => react(token, conversationId, seq, emoji, on));

  receipts = (conversationId: string, seq: number): Promise<Receipts> =>
    this.host.authorized((token) => getReceipts(token, conversationId, seq));

  /** `ms`: for this long; without it for ever. */
  mute = (conversationId: string, ms?: number): Promise<void> =>
    this.host.authorized((token) => mute(token, conversationId, ms === undefined ? undefined : new Date(Date.now() + ms).toISOString()));

  unmute = (conversationId: string): Promise<void> => this.host.authorized((token) => unmute(token, conversationId));

  pin = (conversationId: string, on: boolean): Promise<void> => this.host.authorized((token) => mark(token, conversationId, 'pin', on));

  archive = (conversationId: string, on: boolean): Promise<void> =>
    this.host.authorized((token) => mark(token, conversationId, 'archive', on));

  block = (conversationId: string, on: boolean): Promise<void> => this.host.authorized((token) => block(token, conversationId, on));

  setTimer = (conversationId: string, seconds: number): Promise<void> =>
    this.host.authorized((token) => setTimer(token, conversationId, seconds));

  /** An empty title: without any. */
  rename = (conversationId: string, title: string): Promise<void> => this.host.authorized((token) => rename(token, conversationId, title));

  putMember = (conversationId: string, userId: string, role: Role): Promise<void> =>
    this.host.authorized((token) => putMember(token, conversationId, userId, role));

  removeMember = (conversationId: string, userId: string): Promise<void> =>
    this.host.authorized((token) => removeMember(token, conversationId, userId));

  leave = (conversationId: string): Promise<void> => this.removeMember(conversationId, this.host.me);
}
