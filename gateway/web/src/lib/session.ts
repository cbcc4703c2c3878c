// Who this tab is. The device belongs to the browser profile; the person belongs to the tab, so
// that two tabs can be two people while developing.

import { bootstrap, type Session } from './api/session';
import { isRecord, text } from './guards';
import { readJson, type Store } from './storage';

const DEVICE = 'parley.device';
const SESSION = 'parley.session';
const ALPHABET = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789';

export interface Signed extends Session {
  /** What the marketplace (or /dev/token) gave: it buys one new session when this one has ended. */
  readonly accessToken: string;
}

export function newDeviceId(): string {
  let id = 'dev_';
  while (id.length < 20) {
    // 248 = 4 × 62: bytes above it would favour the first letters.
    for (const byte of crypto.getRandomValues(new Uint8Array(32))) {
      if (byte < 248 && id.length < 20) id += ALPHABET[byte % 62];
    }
  }
  return id;
}

export class Sessions {
  constructor(
    private readonly profile: Store,
    private readonly tab: Store,
  ) {}

  deviceId(): string {
    const known = this.profile.get(DEVICE);
    if (known && /^dev_[A-Za-z0-9]{16}$/.test(known)) return known;
    const made = newDeviceId();
    this.profile.set(DEVICE, made);
    return made;
  }

  /** An unlinked device does not come back under its old name. */
  forgetDevice(): void {
    this.profile.remove(DEVICE);
  }

  current(): Signed | null {
    const value = readJson(this.tab, SESSION);
    if (!isRecord(value)) return null;
    const [userId, deviceId, sessionToken] = [text(value.userId), text(value.deviceId), text(value.sessionToken)];
    if (!userId || !deviceId || !sessionToken) return null;
    return {
      userId,
      deviceId,
      sessionToken,
      websocketUrl: text(value.websocketUrl) ?? '',
      expiresAt: text(value.expiresAt) ?? '',
      accessToken: text(value.accessToken) ?? '',
    };
  }

  async begin(accessToken: string): Promise<Signed> {
    const signed = { ...(await bootstrap(accessToken, this.deviceId())), accessToken };
    this.tab.set(SESSION, JSON.stringify(signed));
    return signed;
  }

  end(): void {
    this.tab.remove(SESSION);
  }
}
