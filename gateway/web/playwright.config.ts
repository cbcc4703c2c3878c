import { defineConfig } from '@playwright/test';

// The server runs already: `PARLEY_URL` says where. The browser is the system's own; nothing is
// ever downloaded.
const baseURL = process.env.PARLEY_URL;
if (!baseURL) throw new Error('PARLEY_URL must name a running server, for example http://127.0.0.1:8080');

export default defineConfig({
  testDir: 'e2e',
  outputDir: 'test-results',
  // Everybody in a test has a name of their own, so files do not meet.
  workers: 2,
  // A test that only passes the second time has failed.
  retries: 0,
  timeout: 90_000,
  expect: { timeout: 15_000 },
  reporter: 'list',
  use: {
    baseURL,
    headless: true,
    trace: 'off',
    screenshot: 'only-on-failure',
    launchOptions: {
      executablePath: process.env.PARLEY_CHROMIUM ?? '/usr/bin/chromium',
      args: [
        '--headless',
        '--no-sandbox',
        '--disable-gpu',
        '--disable-quic',
        '--no-first-run',
        '--disable-background-networking',
        '--disable-component-update',
        '--disable-sync',
      ],
    },
  },
});
