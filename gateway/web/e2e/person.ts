// One person at a browser of their own.

import { expect, type Browser, type BrowserContext, type Locator, type Page } from '@playwright/test';

export type MessageState = 'sending' | 'sent' | 'delivered' | 'read' | 'failed' | 'received';

export class Person {
  private constructor(
    readonly userId: string,
    readonly context: BrowserContext,
    readonly page: Page,
    /** errors the page did not expect */
    readonly errors: string[],
  ) {}

  static async arrives(browser: Browser, userId: string): Promise<Person> {
    return Person.inTab(await browser.newContext(), userId);
  }

  static async inTab(context: BrowserContext, userId: string): Promise<Person> {
    const page = await context.newPage();
    const errors: string[] = [];
    page.on('pageerror', (error) => errors.push(error.message));
    await page.goto('/');
    return new Person(userId, context, page, errors);
  }

  async signsIn(): Promise<void> {
    await this.page.getByTestId('signin-user').fill(this.userId);
    await this.page.getByTestId('signin-submit').click();
    await this.isOnline();
  }

  async link(state: 'connecting' | 'online' | 'offline'): Promise<void> {
    await expect(this.page.getByTestId('connection-state')).toHaveAttribute('data-state', state, { timeout: 40_000 });
  }

  isOnline = (): Promise<void> => this.link('online');

  async isOver(transport: 'websocket' | 'sse' | 'poll'): Promise<void> {
    await this.isOnline();
    await expect(this.page.getByTestId('connection-state')).toHaveAttribute('data-transport', transport, { timeout: 30_000 });
  }

  async startsWith(other: Person): Promise<void> {
    await this.page.getByTestId('new-conversation-user').fill(other.userId);
    await this.page.getByTestId('new-conversation-submit').click();
    await expect(this.page.getByTestId('composer')).toBeVisible();
  }

  /** Both sign in, and this one begins a conversation. */
  async meets(other: Person): Promise<void> {
    await this.signsIn();
    await other.signsIn();
    await this.startsWith(other);
  }

  /** In the list; a string is the title of a group or channel. */
  conversation(other: Person | string): Locator {
    if (typeof other === 'string') return this.page.getByTestId('conversation-item').filter({ hasText: other });
    return this.page.locator(`[data-testid="conversation-item"][data-conversation-id="${conversationId(this, other)}"]`);
  }

  async opens(other: Person | string): Promise<void> {
    await this.conversation(other).click();
    await expect(this.conversation(other)).toHaveAttribute('aria-current', 'page');
    await expect(this.page.getByRole('log')).toBeVisible();
  }

  /** A group or channel of one's own, open. */
  async creates(kind: 'group' | 'channel', title: string, people: readonly Person[]): Promise<void> {
    await this.page.getByTestId('new-group').click();
    await this.page.getByTestId(`kind-${kind}`).check({ force: true });
    await this.page.getByTestId('group-title').fill(title);
    for (const person of people) {
      await this.page.getByTestId('group-person').fill(person.userId);
      await this.page.getByTestId('group-person').press('Enter');
    }
    await this.page.getByTestId('group-create').click();
    await expect(this.page.getByTestId('conversation-title')).toHaveText(title);
  }

  /** How far this person has read, by the server's word. */
  async readSeq(other: Person): Promise<number> {
    return this.page.evaluate(async (id) => {
      const { sessionToken } = JSON.parse(sessionStorage.getItem('parley.session') ?? '{}');
      const answer = await fetch(`v1/conversations/${id}`, { headers: { Authorization: `Bearer ${sessionToken}` } });
      return Number((await answer.json()).readSeq);
    }, conversationId(this, other));
  }

  /** From the menu of the open conversation. */
  async chooses(item: string): Promise<void> {
    await this.page.getByTestId('conversation-menu').click();
    await this.page.getByTestId(`menu-${item}`).click();
  }

  /** From the menu of a message. */
  async acts(words: string, action: string): Promise<void> {
    await this.menuOf(words);
    await this.page.getByTestId(`action-${action}`).click();
  }

  async reacts(words: string, emoji: string): Promise<void> {
    await this.menuOf(words);
    await this.page.locator(`[data-testid="react"][data-emoji="${emoji}"]`).click();
  }

  private async menuOf(words: string): Promise<void> {
    await this.message(words).hover();
    await this.message(words).getByTestId('message-more').click();
  }

  /** The question that was just asked. */
  async confirms(): Promise<void> {
    await this.page.getByTestId('confirm-yes').click();
  }

  member(other: Person): Locator {
    return this.page.locator(`[data-testid="member"][data-user="${other.userId}"]`);
  }

  async closesDialog(): Promise<void> {
    await this.page.keyboard.press('Escape');
    await expect(this.page.locator('dialog')).toHaveCount(0);
  }

  /** What the open conversation says of the other person. */
  presence(): Locator {
    return this.page.getByTestId('presence');
  }

  async looksAway(): Promise<void> {
    await this.page.goto('/#/');
    await expect(this.page.getByTestId('composer')).toHaveCount(0);
  }

  async writes(text: string): Promise<void> {
    await this.page.getByTestId('composer').fill(text);
    await this.page.getByTestId('composer').press('Enter');
  }

  /** Many, faster than anybody types: the first one first, the others in any order. */
  async writesAtOnce(other: Person, texts: readonly string[]): Promise<void> {
    await this.page.evaluate(
      async ([id, words]) => {
        const { sessionToken } = JSON.parse(sessionStorage.getItem('parley.session') ?? '{}');
        const headers = { Authorization: `Bearer ${sessionToken}`, 'Content-Type': 'application/json' };
        const post = async (text: string, index: number): Promise<void> => {
          const body = JSON.stringify({ clientMessageId: `at-once-${index}`, body: { kind: 'text', text } });
          const answer = await fetch(`v1/conversations/${id}/messages`, { method: 'POST', headers, body });
          if (!answer.ok) throw new Error(await answer.text());
        };
        const [first = '', ...others] = words;
        await post(first, 0);
        await Promise.all(others.map((text, index) => post(text, index + 1)));
      },
      [conversationId(this, other), texts] as const,
    );
  }

  message(text: string): Locator {
    return this.page.getByTestId('message').filter({ hasText: text });
  }

  /** Exactly one bubble says this, and it is in this state. */
  async sees(text: string, state: MessageState): Promise<void> {
    await expect(this.message(text)).toHaveCount(1);
    await expect(this.message(text)).toHaveAttribute('data-state', state);
  }

  /** It is in the log, whoever has it by now. */
  async hasSent(text: string): Promise<void> {
    await expect(this.message(text)).toHaveCount(1);
    await expect(this.message(text)).toHaveAttribute('data-state', /^(sent|delivered|read)$/);
  }

  /** What the log shows, as [number, words], top to bottom. */
  async log(): Promise<[number, string][]> {
    return this.page.getByTestId('message').evaluateAll((all) =>
      all.map((one): [number, string] => [
        Number((one as HTMLElement).dataset.seq),
        one.querySelector('.words')?.textContent ?? '',
      ]),
    );
  }

  async unread(other: Person, count: number): Promise<void> {
    const badge = this.conversation(other).getByTestId('unread');
    if (count === 0) await expect(badge).toHaveCount(0);
    else await expect(badge).toHaveText(String(count));
    await expect(this.page).toHaveTitle(count === 0 ? 'Parley' : `(${count}) Parley`);
  }

  async leaves(): Promise<void> {
    expect(this.errors).toEqual([]);
    await this.context.close();
  }
}

export function conversationId(a: Person, b: Person): string {
  return `d.${[a.userId, b.userId].sort().join('.')}`;
}

/** People of this run alone, so that a server may be used for many runs. */
export function named(name: string): string {
  return `${name}_${Date.now().toString(36)}${Math.floor(Math.random() * 1296).toString(36)}`;
}
