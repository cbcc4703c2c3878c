// What the next message is about: an answer to one, or one written anew.

export type Target = { readonly kind: 'reply' | 'edit'; readonly seq: number };

export class Compose {
  #targets = $state.raw<Readonly<Record<string, Target>>>({});

  of(conversationId: string): Target | undefined {
    return this.#targets[conversationId];
  }

  set(conversationId: string, target: Target | null): void {
    const { [conversationId]: _, ...others } = this.#targets;
    this.#targets = target ? { ...others, [conversationId]: target } : others;
  }

  reset(): void {
    this.#targets = {};
  }
}
