// What was begun and not sent, by conversation: it survives looking elsewhere and a reload.

import { browserStore, type Store } from './storage';

export class Drafts {
  constructor(private readonly store: Store) {}

  get(me: string, conversationId: string): string {
    return this.store.get(this.#key(me, conversationId)) ?? '';
  }

  set(me: string, conversationId: string, content: string): void {
    if (!me) return;
    if (content) this.store.set(this.#key(me, conversationId), content);
    else this.store.remove(this.#key(me, conversationId));
  }

  #key(me: string, conversationId: string): string {
    return `parley.draft.${me}.${conversationId}`;
  }
}

export const drafts = new Drafts(browserStore(() => sessionStorage));
