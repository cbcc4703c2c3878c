// Pictures of messages, as far as this page has them, and the download of files. The server keeps no
// copy of a picture in the browser's cache, so the last ones are held here.

import { ApiError } from './api/call';
import { fetchFile, fileAddress } from './api/files';
import type { Host } from './host';
import type { Attachment } from './protocol';

/** Browsers show these without running anything; the server gives only these to be shown. */
const SHOWN: readonly string[] = ['image/png', 'image/jpeg', 'image/gif', 'image/webp'];
/** Larger ones are downloaded by whoever wants them. */
const MAX_SHOWN_BYTES = 10 * 1024 * 1024;
const MOST_KEPT = 60;
const TRIES = 5;
const AGAIN_MS = 300;

export const isPicture = ({ contentType = '', sizeBytes = 0 }: Pick<Attachment, 'contentType' | 'sizeBytes'>): boolean =>
  SHOWN.includes(contentType) && sizeBytes <= MAX_SHOWN_BYTES;

export type Picture = { readonly state: 'loading' | 'failed' } | { readonly state: 'there'; readonly url: string };

export class Files {
  /** by attachmentId; of a file that is on its way, by the key of its upload */
  pictures = $state.raw<Readonly<Record<string, Picture>>>({});

  constructor(
    private readonly host: Pick<Host, 'authorized'>,
    private readonly fetch = fetchFile,
  ) {}

  /** Read when somebody is about to see it. */
  async load(attachmentId: string): Promise<void> {
    const held = this.pictures[attachmentId];
    if (held && held.state !== 'failed') return;
    this.#set(attachmentId, { state: 'loading' });
    try {
      const blob = await this.#fetch(attachmentId);
      this.#set(attachmentId, { state: 'there', url: URL.createObjectURL(blob) });
    } catch {
      this.#set(attachmentId, { state: 'failed' });
    }
  }

  /** A message may be here before the views know it: its files are not there for a moment. */
  async #fetch(attachmentId: string): Promise<Blob> {
    for (let tries = 1; ; tries += 1) {
      try {
        return await this.host.authorized((token) => this.fetch(token, attachmentId));
      } catch (error) {
        if (!(error instanceof ApiError) || error.status !== 404 || tries === TRIES) throw error;
        await new Promise((resolve) => setTimeout(resolve, AGAIN_MS * tries));
      }
    }
  }

  /** One's own needs no fetching. */
  keep(id: string, file: Blob): void {
    this.#set(id, { state: 'there', url: URL.createObjectURL(file) });
  }

  forget(id: string): void {
    const { [id]: gone, ...others } = this.pictures;
    if (gone?.state === 'there') URL.revokeObjectURL(gone.url);
    this.pictures = others;
  }

  async download({ attachmentId, fileName }: Attachment): Promise<void> {
    const link = document.createElement('a');
    link.href = await this.host.authorized((token) => fileAddress(token, attachmentId));
    link.download = fileName ?? '';
    link.click();
  }

  reset(): void {
    for (const id of Object.keys(this.pictures)) this.forget(id);
  }

  #set(id: string, picture: Picture): void {
    this.forget(id);
    this.pictures = { ...this.pictures, [id]: picture };
    const [oldest, ...others] = Object.keys(this.pictures);
    if (oldest !== undefined && others.length >= MOST_KEPT) this.forget(oldest);
  }
}
