// The people of a test: whoever it names arrives at a browser of their own, and leaves when it ends.

import { test as base, type Browser } from '@playwright/test';

import { Person, named } from './person';

interface People {
  alice: Person;
  /** Alice at another of her devices. */
  phone: Person;
  bob: Person;
  carol: Person;
}

async function visits(browser: Browser, userId: string, use: (person: Person) => Promise<void>): Promise<void> {
  const person = await Person.arrives(browser, userId);
  await use(person);
  await person.leaves();
}

export const test = base.extend<People>({
  alice: ({ browser }, use) => visits(browser, named('alice'), use),
  phone: ({ browser, alice }, use) => visits(browser, alice.userId, use),
  bob: ({ browser }, use) => visits(browser, named('bob'), use),
  carol: ({ browser }, use) => visits(browser, named('carol'), use),
});
