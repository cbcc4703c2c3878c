// `#/c/<conversationId>` opens a conversation, `#/c/<conversationId>/<number>` one at a message; anything
// else is the list.

import { isCount } from './guards';

export class Router {
  conversationId = $state<string | null>(null);
  /** The message that the address leads to, until it was shown. */
  seq = $state<number | null>(null);

  start(): () => void {
    const read = (): void => {
      const place = placeIn(location.hash);
      this.conversationId = place?.conversationId ?? null;
      this.seq = place?.seq ?? null;
    };
    read();
    addEventListener('hashchange', read);
    return () => removeEventListener('hashchange', read);
  }

  open(conversationId: string): void {
    location.hash = hrefOf(conversationId);
  }

  close(): void {
    location.hash = '#/';
    // Now, not with the event: what the list has is to be focused.
    this.conversationId = null;
    this.seq = null;
  }

  /** Shown: from here on the address is the conversation's, and leads to the message once more. */
  arrived(): void {
    if (this.conversationId === null || this.seq === null) return;
    this.seq = null;
    history.replaceState(null, '', hrefOf(this.conversationId));
  }
}

export interface Place {
  readonly conversationId: string;
  readonly seq?: number;
}

export const hrefOf = (conversationId: string, seq?: number): string =>
  `#/c/${encodeURIComponent(conversationId)}${seq === undefined ? '' : `/${seq}`}`;

export function placeIn(hash: string): Place | null {
  const [, id, number] = /^#\/c\/([^/?#]+)(?:\/(\d{1,15}))?$/.exec(hash) ?? [];
  if (!id) return null;
  const seq = Number(number);
  try {
    return { conversationId: decodeURIComponent(id), seq: isCount(seq) && seq > 0 ? seq : undefined };
  } catch {
    return null;
  }
}
