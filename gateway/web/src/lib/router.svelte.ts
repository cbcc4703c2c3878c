// `#/c/<conversationId>` opens a conversation; anything else is the list.

export class Router {
  conversationId = $state<string | null>(null);

  start(): () => void {
    const read = (): void => {
      this.conversationId = conversationIn(location.hash);
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
  }
}

export const hrefOf = (conversationId: string): string => `#/c/${encodeURIComponent(conversationId)}`;

export function conversationIn(hash: string): string | null {
  const found = /^#\/c\/([^/?#]+)$/.exec(hash)?.[1];
  if (!found) return null;
  try {
    return decodeURIComponent(found);
  } catch {
    return null;
  }
}
