// Files: chosen, dropped and pasted, on their way, and at the other end.

import { readFile } from 'node:fs/promises';

import { expect, type Locator } from '@playwright/test';

import { test } from './people';
import { type Person } from './person';

test.beforeEach(async ({ alice, bob }) => {
  await alice.meets(bob);
});

const DOT = 'iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNkYPhfDwAChwGA60e6kgAAAABJRU5ErkJggg==';
const picture = (name: string) => ({ name, mimeType: 'image/png', buffer: Buffer.from(DOT, 'base64') });
const words = (name: string, content = 'some words') => ({ name, mimeType: 'text/plain', buffer: Buffer.from(content) });
type Chosen = ReturnType<typeof picture>;

const chooses = (person: Person, ...files: Chosen[]): Promise<void> => person.page.getByTestId('attach-files').setInputFiles(files);
const tray = (person: Person): Locator => person.page.getByTestId('upload');
const sends = (person: Person): Promise<void> => person.page.getByTestId('send').click();
/** Where the bytes go. */
const CONTENT = /\/v1\/attachments\/[^/]+\/content/;

/** Uploads of this person wait until they may go on. */
async function holds(person: Person): Promise<() => Promise<void>> {
  let go: () => void = () => undefined;
  const gone = new Promise<void>((resolve) => (go = resolve));
  await person.page.route(CONTENT, async (route) => {
    await gone;
    // The page may not want it any more, or be gone.
    await route.continue().catch(() => undefined);
  });
  return async () => {
    go();
    await person.page.unroute(CONTENT);
  };
}

test('pictures and files reach the other, and last', async ({ alice, bob }) => {
  await chooses(alice, picture('desk.png'), words('offer “autumn”.txt', 'a desk, a lamp'));
  await expect(tray(alice)).toHaveCount(2);
  await alice.page.getByTestId('composer').fill('have a look');
  await sends(alice);
  await expect(tray(alice)).toHaveCount(0);
  await expect(alice.page.getByTestId('composer')).toHaveValue('');
  await alice.sees('have a look', 'delivered');

  await bob.opens(alice);
  const received = bob.message('have a look');
  for (const again of [false, true]) {
    if (again) {
      await bob.page.reload();
      await bob.isOnline();
    }
    await expect(received.getByTestId('picture')).toHaveAttribute('data-state', 'there');
    await expect.poll(() => received.locator('img').evaluate((image: HTMLImageElement) => image.naturalWidth)).toBe(1);
  }
  const downloading = bob.page.waitForEvent('download');
  await received.getByTestId('file').click();
  const download = await downloading;
  expect(download.suggestedFilename()).toBe('offer “autumn”.txt');
  expect(await readFile(await download.path(), 'utf8')).toBe('a desk, a lamp');

  await received.getByTestId('picture').click();
  await expect(bob.page.getByTestId('picture-large')).toBeVisible();
  await bob.closesDialog();
  // Its words may be changed; its files stay.
  await alice.acts('have a look', 'edit');
  await alice.page.getByTestId('composer').fill('look at this');
  await alice.page.getByTestId('composer').press('Enter');
  await expect(bob.message('look at this').getByTestId('picture')).toHaveAttribute('data-state', 'there');
  await expect(bob.message('look at this').getByTestId('file')).toHaveCount(1);
  // Taken back, it is nobody's any more.
  await alice.acts('look at this', 'delete');
  await alice.confirms();
  await expect(bob.page.getByTestId('picture')).toHaveCount(0);
});

test('a message waits for its files, and others do not wait for it', async ({ alice, bob }) => {
  const release = await holds(alice);
  await chooses(alice, picture('slow.png'));
  await alice.page.getByTestId('composer').fill('the picture');
  await sends(alice);
  await alice.sees('the picture', 'sending');
  await alice.writes('it takes a while');
  await bob.opens(alice);
  await bob.sees('it takes a while', 'received');
  await expect(bob.message('the picture')).toHaveCount(0);
  await release();
  await bob.sees('the picture', 'received');
  await alice.sees('the picture', 'read');
  await expect(alice.page.getByTestId('message')).toHaveCount(2);

  // What is not wanted any more does not go.
  const never = await holds(alice);
  await chooses(alice, picture('wrong.png'));
  await sends(alice);
  await alice.page.getByTestId('upload-cancel').click();
  await expect(alice.page.getByTestId('message')).toHaveCount(2);
  await never();
});

test('an upload that failed is tried again', async ({ alice, bob }) => {
  await alice.page.route(CONTENT, (route) =>
    route.fulfill({ status: 503, contentType: 'application/problem+json', body: '{"code":"unavailable","detail":"as many files as may are being uploaded"}' }),
  );
  await chooses(alice, words('list.txt'));
  await expect(tray(alice)).toHaveAttribute('data-state', 'failed');
  await expect(tray(alice)).toContainText('As many files as may');
  await expect(alice.page.getByTestId('send')).toBeDisabled();
  await alice.page.unroute(CONTENT);
  await alice.page.getByTestId('upload-retry').click();
  await expect(tray(alice)).toHaveAttribute('data-state', 'done');
  await sends(alice);
  await bob.opens(alice);
  await expect(bob.page.getByTestId('file')).toContainText('list.txt');

  await chooses(alice, words('empty.txt', ''));
  await expect(alice.page.getByText('“empty.txt” is empty')).toBeVisible();
  await expect(tray(alice)).toHaveCount(0);
});

test('a reload keeps what was uploaded, and says what was not', async ({ alice, bob }) => {
  await chooses(alice, words('there.txt'));
  await expect(tray(alice)).toHaveAttribute('data-state', 'done');
  const release = await holds(alice);
  await chooses(alice, words('under-way.txt'));
  await alice.page.getByTestId('composer').fill('two files');
  await sends(alice);
  await alice.sees('two files', 'sending');
  // The browser asks whether to leave.
  alice.page.on('dialog', (dialog) => void dialog.accept());
  await alice.page.reload();
  await release();
  await alice.isOnline();
  await expect(tray(alice)).toHaveCount(2);
  await expect(tray(alice).filter({ hasText: 'there.txt' })).toHaveAttribute('data-state', 'done');
  await expect(tray(alice).filter({ hasText: 'under-way.txt' })).toContainText('Choose it once more');
  await expect(alice.page.getByTestId('composer')).toHaveValue('two files');
  await tray(alice).filter({ hasText: 'under-way.txt' }).getByTestId('upload-remove').click();
  await chooses(alice, words('under-way.txt'));
  await sends(alice);
  await bob.opens(alice);
  await bob.sees('two files', 'received');
  await expect(bob.message('two files').getByTestId('file')).toHaveCount(2);
});

test('files are dropped and pasted', async ({ alice, bob }) => {
  const transfer = await alice.page.evaluateHandle((base64) => {
    const bytes = Uint8Array.from(atob(base64), (letter) => letter.charCodeAt(0));
    const data = new DataTransfer();
    data.items.add(new File([bytes], 'dropped.png', { type: 'image/png' }));
    return data;
  }, DOT);
  await alice.page.getByRole('log').dispatchEvent('dragenter', { dataTransfer: transfer });
  await expect(alice.page.getByTestId('drop')).toBeVisible();
  await alice.page.getByRole('log').dispatchEvent('drop', { dataTransfer: transfer });
  await expect(alice.page.getByTestId('drop')).toHaveCount(0);
  await expect(tray(alice)).toContainText('dropped.png');

  await alice.page.getByTestId('composer').evaluate((field, data) => {
    field.dispatchEvent(new ClipboardEvent('paste', { clipboardData: data as DataTransfer, bubbles: true, cancelable: true }));
  }, transfer);
  await expect(tray(alice)).toHaveCount(2);
  await alice.page.getByTestId('upload-remove').first().click();
  await sends(alice);
  await bob.opens(alice);
  await expect(bob.page.getByTestId('picture')).toHaveAttribute('data-state', 'there');
});
