// Finding what was said, and going there.

import { expect, type Locator } from '@playwright/test';

import { test } from './people';
import { type Person } from './person';

test.beforeEach(async ({ alice, bob }) => {
  await alice.meets(bob);
});

const field = (person: Person): Locator => person.page.getByTestId('search');
const hits = (person: Person): Locator => person.page.getByTestId('search-hit');

/** Views follow the log, usually within milliseconds: asked again until what was just written is found. */
async function finds(person: Person, words: string, count: number): Promise<void> {
  await expect(async () => {
    await field(person).fill('');
    await field(person).fill(words);
    await field(person).press('Enter');
    await expect(person.page.getByRole('region', { name: 'Search results' })).toHaveAttribute('aria-busy', 'false');
    await expect(hits(person)).toHaveCount(count, { timeout: 1_000 });
  }).toPass();
}

test('messages are found in all conversations, marked, and opened', async ({ alice, bob }) => {
  await alice.writes('Schöne Grüße vom Flohmarkt');
  await alice.writes('the lamp is gone');
  await alice.creates('group', 'Flea market', [bob]);
  await alice.writes('grüße an alle');
  await alice.hasSent('grüße an alle');
  await bob.looksAway();

  await finds(bob, 'GRUSSE', 2);
  await expect(hits(bob).first()).toContainText('Flea market');
  await expect(hits(bob).first().locator('mark')).toHaveText('grüße');
  await expect(hits(bob).last()).toContainText(alice.userId);
  await expect(hits(bob).last().locator('mark')).toHaveText('Grüße');
  await expect(bob.page.getByText('2 messages found')).toBeAttached();

  // All words are to be there, and a conversation is found by its name.
  await finds(bob, 'grusse floh', 1);
  await finds(bob, 'flea', 0);
  await expect(bob.conversation('Flea market')).toBeVisible();
  await finds(bob, 'no such thing', 0);
  await expect(bob.page.getByText('Nothing found')).toBeVisible();

  // From the field to what was found, and there, without a mouse.
  await bob.looksAway();
  await finds(bob, 'grusse', 2);
  await field(bob).press('ArrowDown');
  await expect(hits(bob).first()).toBeFocused();
  await bob.page.keyboard.press('ArrowDown');
  await bob.page.keyboard.press('Enter');
  await expect(bob.message('Schöne Grüße')).toBeFocused();
  await expect(bob.message('Schöne Grüße')).toBeInViewport();
  await expect(bob.conversation(alice)).toHaveCount(0);
});

test('a key leads to the search, and another one back', async ({ alice, bob }) => {
  await alice.writes('the desk is oak');
  await alice.hasSent('the desk is oak');
  await alice.page.getByTestId('composer').press('Control+k');
  await expect(field(alice)).toBeFocused();
  await finds(alice, 'oak', 1);
  await field(alice).press('Escape');
  await expect(alice.page.getByTestId('composer')).toBeFocused();
  await expect(field(alice)).toHaveValue('');
  await expect(alice.conversation(bob)).toBeVisible();
  // A slash is a slash for who writes.
  await alice.page.getByTestId('composer').press('/');
  await expect(alice.page.getByTestId('composer')).toHaveValue('/');
  await alice.page.getByTestId('composer').fill('');
  await alice.page.getByRole('log').focus();
  await alice.page.keyboard.press('/');
  await expect(field(alice)).toBeFocused();
});

test('one conversation is searched, also on a phone', async ({ alice, bob }) => {
  await alice.writes('the desk is oak');
  await alice.creates('group', 'Flea market', [bob]);
  await alice.writes('an oak shelf');
  await alice.hasSent('an oak shelf');
  await finds(alice, 'oak', 2);
  await alice.page.getByTestId('search-close').click();

  await alice.page.setViewportSize({ width: 390, height: 844 });
  await expect(field(alice)).toBeHidden();
  await alice.chooses('search');
  await expect(field(alice)).toBeFocused();
  await expect(alice.page.getByTestId('search-scope')).toHaveText('Flea market');
  await field(alice).fill('oak');
  await expect(hits(alice)).toHaveCount(1);
  await hits(alice).click();
  await expect(alice.message('an oak shelf')).toBeInViewport();
  // Back at what was found.
  await alice.page.getByRole('link', { name: 'Back to all conversations' }).click();
  await expect(hits(alice)).toHaveCount(1);
  await alice.page.getByRole('button', { name: 'Search everywhere' }).click();
  await expect(hits(alice)).toHaveCount(2);
});

test('a message far back is shown with what is around it, and the way from there to the newest', async ({ alice, bob }) => {
  test.setTimeout(180_000);
  const total = 320;
  await alice.writesAtOnce(bob, ['the needle', ...Array.from({ length: total - 1 }, (_, n) => `hay ${n + 2}`)]);
  await expect(alice.page.locator(`[data-testid="message"][data-seq="${total}"]`)).toBeVisible({ timeout: 30_000 });

  // With nothing in hand but what a reload gives.
  await bob.page.reload();
  await bob.isOnline();
  await bob.opens(alice);
  await finds(bob, 'needle', 1);
  await hits(bob).click();
  await expect(bob.message('the needle')).toBeInViewport();
  await expect(bob.message('the needle')).toBeFocused();
  // Not everything between was read.
  expect((await bob.log()).length).toBeLessThan(total / 2);
  // What comes meanwhile waits at the end.
  await alice.writes('are you there?');
  await alice.sees('are you there?', 'delivered');
  await expect(bob.message('are you there?')).toHaveCount(0);

  const log = bob.page.getByRole('log');
  await expect(async () => {
    await log.evaluate((element) => element.scrollTo({ top: element.scrollHeight }));
    expect((await bob.log()).at(-1)?.[0]).toBe(total + 1);
  }).toPass({ timeout: 30_000 });
  expect((await bob.log()).map(([seq]) => seq)).toEqual(Array.from({ length: total + 1 }, (_, index) => index + 1));

  // Back again, and down at once.
  await hits(bob).click();
  await expect(bob.message('the needle')).toBeInViewport();
  await bob.page.getByTestId('to-newest').click();
  await expect(bob.message('are you there?')).toBeInViewport();
});
