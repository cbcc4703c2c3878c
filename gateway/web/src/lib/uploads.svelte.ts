// Files on their way: chosen, uploaded one by one, and their message sent once all are there. What is
// uploaded survives a reload; the bytes of what is not do not, so such a file has to be chosen again.

import { reserve, upload, type FileAbout, type Reserved } from './api/files';
import { isCount, isRecord, text } from './guards';
import type { Host } from './host';
import type { OutboxItem } from './outbox';
import type { Attachment } from './protocol';
import { readJson, type Store } from './storage';

export const MAX_FILES = 10;
export const MAX_FILE_BYTES = 100 * 1024 * 1024;
/** Uploads at the same time; the others wait. */
export const MOST_AT_ONCE = 3;

export interface Upload extends FileAbout {
  readonly key: string;
  readonly state: 'waiting' | 'uploading' | 'done' | 'failed';
  readonly sentBytes: number;
  readonly attachmentId?: string;
  readonly problem?: string;
  /** Its bytes are gone with the page that had them. */
  readonly lost?: boolean;
}

/** The files of one message. */
export interface Parcel {
  readonly id: string;
  readonly conversationId: string;
  readonly files: readonly Upload[];
  /** The person has sent it: it goes once all files are there. */
  readonly released?: { readonly text: string; readonly replyTo?: number; readonly at: string };
}

export interface UploadDeps {
  readonly host: Pick<Host, 'authorized' | 'me'>;
  readonly store: Store;
  /** All files are there: the message goes out. */
  post(parcel: { id: string; conversationId: string; text: string; replyTo?: number; at: string; files: readonly Attachment[] }): void;
  /** Sent, but the page was loaded again too early: its text is the person's again. */
  returned(conversationId: string, words: string): void;
  /** What can be shown of a file while it is here. */
  here(id: string, file: Blob): void;
  newId(): string;
  readonly reserve?: typeof reserve;
  readonly upload?: typeof upload;
}

export class Uploads {
  parcels = $state.raw<readonly Parcel[]>([]);
  #blobs = new Map<string, Blob>();
  #running = new Map<string, AbortController>();

  constructor(private readonly deps: UploadDeps) {}

  /** What is chosen for the next message. */
  tray(conversationId: string): Parcel | undefined {
    return this.parcels.find((one) => one.conversationId === conversationId && !one.released);
  }

  /** Sent, with files under way: shown where they will be. */
  get waiting(): readonly OutboxItem[] {
    return this.parcels.flatMap(({ id, conversationId, files, released }): OutboxItem[] => {
      if (!released) return [];
      const failed = files.find((one) => one.state === 'failed');
      const shown = files.map((one) => ({ ...aboutOf(one), attachmentId: one.attachmentId ?? one.key, progress: progressOf(one) }));
      const { text: words, replyTo, at } = released;
      const problem = failed && `${failed.fileName}: ${failed.problem ?? 'not uploaded'}`;
      return [{ clientMessageId: id, conversationId, text: words, replyTo, createdAt: at, files: shown, state: failed ? 'failed' : 'sending', problem }];
    });
  }

  /** A reload now would lose bytes. */
  get busy(): boolean {
    return this.parcels.some(({ files }) => files.some((one) => one.state !== 'done' && !one.lost));
  }

  /** Answers what cannot be taken, in words. */
  add(conversationId: string, chosen: readonly File[]): readonly string[] {
    const problems: string[] = [];
    const tray = this.tray(conversationId) ?? { id: this.deps.newId(), conversationId, files: [] };
    const files = [...tray.files];
    for (const file of chosen) {
      const problem = files.length >= MAX_FILES ? `A message has ${MAX_FILES} files at most.` : refusalOf(file);
      if (problem) problems.push(problem);
      else files.push(this.#take(file));
    }
    if (files.length > tray.files.length) this.#put({ ...tray, files });
    this.#start();
    return [...new Set(problems)];
  }

  remove(key: string): void {
    this.#stop(key);
    const parcel = this.parcels.find(({ files }) => files.some((one) => one.key === key));
    if (!parcel) return;
    const files = parcel.files.filter((one) => one.key !== key);
    if (files.length > 0) this.#put({ ...parcel, files });
    else this.#drop(parcel.id);
    this.#start();
  }

  retry(key: string): void {
    this.#change(key, (one) => (one.state === 'failed' && !one.lost ? { ...one, state: 'waiting', sentBytes: 0, problem: undefined } : one));
    this.#start();
  }

  /** The message is sent, now or once its files are there. */
  release(conversationId: string, words: string, at: string, replyTo?: number): void {
    const tray = this.tray(conversationId);
    if (!tray) return;
    this.#put({ ...tray, released: { text: words, replyTo, at } });
    this.#settle(tray.id);
  }

  has(parcelId: string): boolean {
    return this.parcels.some(({ id }) => id === parcelId);
  }

  retryAll(parcelId: string): void {
    for (const { key } of this.parcels.find(({ id }) => id === parcelId)?.files ?? []) this.retry(key);
  }

  discard(parcelId: string): void {
    for (const { key } of this.parcels.find(({ id }) => id === parcelId)?.files ?? []) this.#stop(key);
    this.#drop(parcelId);
    this.#start();
  }

  /** A reload finds what was uploaded. */
  restore(): void {
    this.parcels = parcelsIn(readJson(this.deps.store, this.#key()));
    for (const parcel of this.parcels) {
      if (!parcel.released) continue;
      if (parcel.files.every((one) => one.state === 'done')) this.#settle(parcel.id);
      else this.#giveBack(parcel, parcel.released.text);
    }
  }

  /** Signed out: nothing is left for the next. */
  clear(): void {
    this.reset();
    this.deps.store.remove(this.#key());
  }

  /** The session is over; what is kept is found by the next one of the same person. */
  reset(): void {
    for (const running of this.#running.values()) running.abort();
    this.#running.clear();
    this.#blobs.clear();
    this.parcels = [];
  }

  #take(file: File): Upload {
    const key = this.deps.newId();
    this.#blobs.set(key, file);
    this.deps.here(key, file);
    return { key, fileName: nameOf(file.name), contentType: file.type || 'application/octet-stream', sizeBytes: file.size, state: 'waiting', sentBytes: 0 };
  }

  #start(): void {
    const waiting = this.parcels.flatMap(({ conversationId, files }) => files.filter((one) => one.state === 'waiting').map((one) => ({ conversationId, one })));
    for (const { conversationId, one } of waiting.slice(0, Math.max(0, MOST_AT_ONCE - this.#running.size))) void this.#bring(conversationId, one);
  }

  async #bring(conversationId: string, one: Upload): Promise<void> {
    const { key } = one;
    const blob = this.#blobs.get(key);
    if (!blob) return;
    const running = new AbortController();
    this.#running.set(key, running);
    this.#change(key, (held) => ({ ...held, state: 'uploading' }));
    try {
      const { reserve: reserving = reserve, upload: uploading = upload, host, here } = this.deps;
      // Each try has a place of its own: nobody knows how far the one before came.
      const place: Reserved = await host.authorized((token) => reserving(token, conversationId, aboutOf(one)));
      if (running.signal.aborted) return;
      await uploading(place, blob, (sentBytes) => this.#change(key, (held) => ({ ...held, sentBytes })), running.signal);
      if (running.signal.aborted) return;
      here(place.attachmentId, blob);
      this.#blobs.delete(key);
      this.#change(key, (held) => ({ ...held, state: 'done', sentBytes: held.sizeBytes, attachmentId: place.attachmentId }));
    } catch (error) {
      if (running.signal.aborted) return;
      this.#change(key, (held) => ({ ...held, state: 'failed', problem: error instanceof Error ? error.message : 'It was not uploaded.' }));
    } finally {
      if (this.#running.get(key) === running) this.#running.delete(key);
    }
    this.#start();
    for (const { id, files } of this.parcels) if (files.some((held) => held.key === key)) this.#settle(id);
  }

  #settle(parcelId: string): void {
    const parcel = this.parcels.find(({ id }) => id === parcelId);
    if (!parcel?.released || parcel.files.some((one) => one.state !== 'done')) return;
    const { id, conversationId, released } = parcel;
    const files = parcel.files.map((one) => ({ ...aboutOf(one), attachmentId: one.attachmentId ?? '' }));
    // First it is in the outbox, which keeps it: a reload between the two sends one message, not none.
    this.deps.post({ id, conversationId, ...released, files });
    this.#drop(id);
  }

  #giveBack(parcel: Parcel, words: string): void {
    const tray = this.tray(parcel.conversationId);
    this.#drop(parcel.id);
    this.#put({ id: tray?.id ?? parcel.id, conversationId: parcel.conversationId, files: [...(tray?.files ?? []), ...parcel.files] });
    this.deps.returned(parcel.conversationId, words);
  }

  #stop(key: string): void {
    this.#running.get(key)?.abort();
    this.#running.delete(key);
    this.#blobs.delete(key);
  }

  #change(key: string, change: (one: Upload) => Upload): void {
    this.#set(this.parcels.map((parcel) => (parcel.files.some((one) => one.key === key) ? { ...parcel, files: parcel.files.map((one) => (one.key === key ? change(one) : one)) } : parcel)));
  }

  #put(parcel: Parcel): void {
    const held = this.parcels.some(({ id }) => id === parcel.id);
    this.#set(held ? this.parcels.map((one) => (one.id === parcel.id ? parcel : one)) : [...this.parcels, parcel]);
  }

  #drop(parcelId: string): void {
    this.#set(this.parcels.filter(({ id }) => id !== parcelId));
  }

  #set(parcels: readonly Parcel[]): void {
    this.parcels = parcels;
    if (parcels.length > 0) this.deps.store.set(this.#key(), JSON.stringify(parcels));
    else this.deps.store.remove(this.#key());
  }

  #key(): string {
    return `parley.uploads.${this.deps.host.me}`;
  }
}

const aboutOf = ({ fileName, contentType, sizeBytes }: FileAbout): FileAbout => ({ fileName, contentType, sizeBytes });

export const progressOf = ({ state, sentBytes, sizeBytes }: Upload): number => (state === 'done' ? 1 : Math.min(0.99, sentBytes / Math.max(1, sizeBytes)));

/** What the server refuses in any case, said before anything is sent. */
function refusalOf(file: File): string | null {
  if (file.size === 0) return `“${file.name}” is empty, or a folder.`;
  if (file.size > MAX_FILE_BYTES) return `“${file.name}” is larger than 100 MiB.`;
  return null;
}

/** As the contract has names: no separators, no control characters, none that turn the writing. */
const nameOf = (name: string): string =>
  [...(name || 'file').normalize('NFC').replace(/[\p{Cc}/\\\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]/gu, '_')].slice(0, 255).join('');

function parcelsIn(value: unknown): readonly Parcel[] {
  if (!Array.isArray(value)) return [];
  return value.filter(isRecord).flatMap((one): Parcel[] => {
    const [id, conversationId] = [text(one.id), text(one.conversationId)];
    const files = (Array.isArray(one.files) ? one.files : []).filter(isRecord).flatMap(uploadIn);
    if (!id || !conversationId || files.length === 0) return [];
    const released = isRecord(one.released) ? one.released : undefined;
    const replyTo = released && isCount(released.replyTo) ? released.replyTo : undefined;
    return [{ id, conversationId, files, released: released && { text: text(released.text) ?? '', replyTo, at: text(released.at) ?? '' } }];
  });
}

function uploadIn(one: Record<string, unknown>): Upload[] {
  const [key, fileName, attachmentId] = [text(one.key), text(one.fileName), text(one.attachmentId)];
  if (!key || !fileName || !isCount(one.sizeBytes)) return [];
  const about = { key, fileName, contentType: text(one.contentType) ?? '', sizeBytes: one.sizeBytes };
  return one.state === 'done' && attachmentId
    ? [{ ...about, state: 'done', sentBytes: about.sizeBytes, attachmentId }]
    : [{ ...about, state: 'failed', sentBytes: 0, lost: true, problem: 'The page was loaded again before it was uploaded. Choose it once more.' }];
}
