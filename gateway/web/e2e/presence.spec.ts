import { expect } from '@playwright/test';

import { test } from './people';

/** Two people who have talked, each looking at the conversation. */
test.beforeEach(async ({ alice, bob }) => {
  await alice.meets(bob);
  await alice.writes('are you there?');
  await bob.unread(alice, 1);
  await bob.opens(alice);
});

test('both see each other come, stay over a reload, and go', async ({ alice, bob }) => {
  await expect(alice.presence()).toHaveText('Online');
  await expect(bob.presence()).toHaveText('Online');
  await expect(alice.conversation(bob).getByTestId('online')).toBeVisible();

  // Every text that the line ever has, while Bob loads his page again.
  await alice.page.evaluate(() => {
    const texts: string[] = [];
    const line = document.querySelector('[data-testid="presence"]')?.parentElement;
    if (line) new MutationObserver(() => texts.push(line.textContent ?? '')).observe(line, { characterData: true, childList: true, subtree: true });
    Object.assign(window, { texts });
  });
  await bob.page.reload();
  await bob.isOnline();
  await expect(bob.presence()).toHaveText('Online');
  await expect(alice.presence()).toHaveText('Online');
  expect(await alice.page.evaluate(() => (window as unknown as { texts: string[] }).texts)).toEqual([]);

  await bob.page.goto('about:blank');
  await expect(alice.presence()).toHaveText('Last seen just now');
  await expect(alice.conversation(bob).getByTestId('online')).toHaveCount(0);

  // Alice's page starts anew: the server still knows.
  await alice.page.reload();
  await expect(alice.presence()).toHaveText('Last seen just now');
  await bob.page.goto('/');
  await expect(alice.presence()).toHaveText('Online');
});

test('typing is shown while it goes on', async ({ alice, bob }) => {
  await bob.page.getByTestId('composer').pressSequentially('yes, I', { delay: 20 });
  await expect(alice.presence()).toHaveText('typing…');
  await expect(alice.conversation(bob).getByTestId('typing')).toBeVisible();
  // He stops without a word: it ends by itself.
  await expect(alice.presence()).toHaveText('Online');
  await bob.page.getByTestId('composer').pressSequentially(' am here', { delay: 20 });
  await expect(alice.presence()).toHaveText('typing…');
  await bob.page.getByTestId('composer').press('Enter');
  await alice.sees('yes, I am here', 'received');
  await expect(alice.presence()).toHaveText('Online');
  // Nobody sees themselves.
  await expect(bob.presence()).toHaveText('Online');
});
