// What was written and is not yet known to be stored. One message at a time per conversation, the
// next after the ack, so that they are numbered in the order they were written. Everything here
// survives a reload; the same clientMessageId makes sending it again harmless.

import { RESEND, delayMs } from './backoff';
import { isCount, isRecord, text } from './guards';
import type { Attachment, Body, ClientFrame, Json, ServerFrame } from './protocol';
import { toAttachments } from './reading';
import { readJson, type Store } from './storage';

export type OutboxState =
  /** waiting for its turn or for the connection, or on its way */
  | 'sending'
  /** stored by the server as `conversationSeq`; kept until its event shows it */
  | 'sent'
  /** refused: only the person can decide */
  | 'failed';

export interface OutboxItem {
  readonly clientMessageId: string;
  readonly conversationId: string;
  /** may be empty if there are files */
  readonly text: string;
  /** They are uploaded already. */
  readonly files?: readonly Attachment[];
  readonly replyTo?: number;
  readonly createdAt: string;
  readonly state: OutboxState;
  readonly conversationSeq?: number;
  readonly problem?: string;
}

export interface OutboxDeps {
  readonly store: Store;
  readonly key: string;
  /** False: no connection; it will be offered again at the next `online`. */
  send(frame: ClientFrame): boolean;
  onChange(items: readonly OutboxItem[]): void;
  random(): number;
  newId(): string;
}

/** An answer this late does not come any more; the same message again is the same message. */
export const ACK_TIMEOUT_MS = 15_000;
const REF = 'send-';

interface Flight {
  readonly clientMessageId: string;
  readonly timer: ReturnType<typeof setTimeout>;
}
type Ack = Extract<ServerFrame, { type: 'message.ack' }>;
type Refusal = Extract<ServerFrame, { type: 'error' }>;

export class Outbox {
  #items: readonly OutboxItem[];
  #online = false;
  /** conversationId → the message on its way, or the pause before it is tried again */
  #flights = new Map<string, Flight>();
  #attempts = new Map<string, number>();

  constructor(private readonly deps: OutboxDeps) {
    this.#items = restore(deps.store, deps.key);
    deps.onChange(this.#items);
  }

  get items(): readonly OutboxItem[] {
    return this.#items;
  }

  add(conversationId: string, content: string, now: Date, replyTo?: number): void {
    this.put({ clientMessageId: this.deps.newId(), conversationId, text: content, replyTo, createdAt: now.toISOString() });
  }

  put(message: Omit<OutboxItem, 'state'>): void {
    if (this.#find(message.clientMessageId)) return;
    this.#set([...this.#items, { ...message, state: 'sending' }]);
    this.#next(message.conversationId);
  }

  /** Caught up: what the server had stored already has been taken out by `stored`. */
  online(): void {
    this.#online = true;
    for (const conversationId of new Set(this.#items.map((item) => item.conversationId))) this.#next(conversationId);
  }

  offline(): void {
    this.#online = false;
    for (const conversationId of [...this.#flights.keys()]) this.#land(conversationId);
  }

  acknowledged(ack: Ack): void {
    const { clientMessageId, conversationId, conversationSeq } = ack;
    if (!this.#find(clientMessageId)) return;
    this.#attempts.delete(clientMessageId);
    this.#change(clientMessageId, { state: 'sent', conversationSeq, problem: undefined });
    this.#landed(conversationId, clientMessageId);
  }

  /** True: the error was about one of these messages. */
  refused(error: Refusal): boolean {
    if (!error.ref?.startsWith(REF)) return false;
    const item = this.#find(error.ref.slice(REF.length));
    if (item?.state !== 'sending') return true;
    const { clientMessageId, conversationId } = item;
    if (error.retryAfterMs > 0 || error.code === 'unavailable') {
      const attempt = this.#attempts.get(clientMessageId) ?? 0;
      this.#attempts.set(clientMessageId, attempt + 1);
      this.#pause(item, Math.max(error.retryAfterMs, delayMs(RESEND, attempt, this.deps.random)));
      return true;
    }
    this.#attempts.delete(clientMessageId);
    this.#change(clientMessageId, { state: 'failed', problem: error.message });
    this.#landed(conversationId, clientMessageId);
    return true;
  }

  /** The log holds this message: nothing is left to do for it. */
  stored(clientMessageId: string): void {
    const item = this.#find(clientMessageId);
    if (!item) return;
    this.#attempts.delete(clientMessageId);
    this.#set(this.#items.filter((one) => one !== item));
    this.#landed(item.conversationId, clientMessageId);
  }

  /** A refused message goes to the end: what was written after it has gone already. */
  retry(clientMessageId: string): void {
    const item = this.#find(clientMessageId);
    if (item?.state !== 'failed') return;
    const again: OutboxItem = { ...item, state: 'sending', problem: undefined };
    this.#set([...this.#items.filter((one) => one !== item), again]);
    this.#next(item.conversationId);
  }

  discard(clientMessageId: string): void {
    this.#set(this.#items.filter((one) => one.clientMessageId !== clientMessageId || one.state !== 'failed'));
  }

  /** Signed out: the words of one person are not left for the next. */
  clear(): void {
    this.offline();
    this.#set([]);
  }

  #find(clientMessageId: string): OutboxItem | undefined {
    return this.#items.find((item) => item.clientMessageId === clientMessageId);
  }

  #next(conversationId: string): void {
    if (!this.#online || this.#flights.has(conversationId)) return;
    const item = this.#items.find((one) => one.conversationId === conversationId && one.state === 'sending');
    if (!item) return;
    const { clientMessageId, replyTo } = item;
    const body = sentBodyOf(item);
    const sent = this.deps.send({ type: 'message.send', ref: REF + clientMessageId, conversationId, clientMessageId, body, replyTo });
    if (sent) this.#pause(item, ACK_TIMEOUT_MS);
  }

  /** Nothing else goes out in this conversation until the answer, or until the pause is over. */
  #pause({ conversationId, clientMessageId }: OutboxItem, ms: number): void {
    this.#land(conversationId);
    const timer = setTimeout(() => this.#landed(conversationId, clientMessageId), ms);
    this.#flights.set(conversationId, { clientMessageId, timer });
  }

  #landed(conversationId: string, clientMessageId: string): void {
    if (this.#flights.get(conversationId)?.clientMessageId !== clientMessageId) return;
    this.#land(conversationId);
    this.#next(conversationId);
  }

  #land(conversationId: string): void {
    clearTimeout(this.#flights.get(conversationId)?.timer);
    this.#flights.delete(conversationId);
  }

  #change(clientMessageId: string, change: Partial<OutboxItem>): void {
    this.#set(this.#items.map((item) => (item.clientMessageId === clientMessageId ? { ...item, ...change } : item)));
  }

  #set(items: readonly OutboxItem[]): void {
    this.#items = items;
    const kept = items.filter((item) => item.state !== 'sent');
    if (kept.length > 0) this.deps.store.set(this.deps.key, JSON.stringify(kept));
    else this.deps.store.remove(this.deps.key);
    this.deps.onChange(items);
  }
}

/** As the server wants it, which knows the files by their ids. */
export function sentBodyOf(item: Pick<OutboxItem, 'text' | 'files'>): Json {
  const body = bodyOf(item);
  return body.kind === 'attachment' ? { ...body, attachments: body.attachments.map(({ attachmentId }) => ({ attachmentId })) } : { ...body };
}

/** What it will say. */
export const bodyOf = ({ text: words, files }: Pick<OutboxItem, 'text' | 'files'>): Body =>
  files ? { kind: 'attachment', text: words || undefined, attachments: files } : { kind: 'text', text: words };

function restore(store: Store, key: string): readonly OutboxItem[] {
  const value = readJson(store, key);
  if (!Array.isArray(value)) return [];
  return value.filter(isRecord).flatMap((one): OutboxItem[] => {
    const [clientMessageId, conversationId, content] = [text(one.clientMessageId), text(one.conversationId), text(one.text)];
    if (!clientMessageId || !conversationId || content === undefined) return [];
    const state = one.state === 'failed' ? 'failed' : 'sending';
    const replyTo = isCount(one.replyTo) ? one.replyTo : undefined;
    const files = Array.isArray(one.files) ? toAttachments(one.files) : undefined;
    return [{ clientMessageId, conversationId, text: content, files, replyTo, createdAt: text(one.createdAt) ?? '', state, problem: text(one.problem) }];
  });
}
