// A person's own things: settings, addresses for notifications, devices, contacts. What was done comes
// back as an event of the account.

import {
  addEndpoint,
  getContacts,
  getDevices,
  getEndpoints,
  getSettings,
  putContact,
  putSettings,
  removeEndpoint,
  unlinkDevice,
  verifyEndpoint,
} from './api/account';
import type { Host } from './host';
import type { Account, ChannelName, Endpoint, Json } from './protocol';

/** Some settings, as of those that are there; the others stay as they are. */
type Change = (settings: Json) => Json;

interface Pending {
  readonly change: Change;
  /** of the account that has it; it is not stored yet without */
  readonly version?: number;
}

const changed = (settings: Json | undefined, { change }: Pending): Json => ({ ...settings, ...change(settings ?? {}) });

export class Own {
  #pending = $state.raw<readonly Pending[]>([]);
  /** They are stored as a whole: one save after the other, each with what the last one made of them. */
  #saved: Promise<unknown> = Promise.resolve();

  constructor(private readonly host: Host) {}

  /** With what this tab has changed and its events have not told yet: a switch follows the finger. */
  get settings(): Json | undefined {
    const { settings, version = -1 } = this.host.state.account;
    const untold = this.#pending.filter((one) => one.version === undefined || one.version > version);
    return untold.reduce(changed, settings);
  }

  /** What no sync has told yet; answers the key for web push, if this server has one. */
  async load(): Promise<string | undefined> {
    const told = this.host.state.account;
    const [{ endpoints, vapidPublicKey }, settings, contacts, devices] = await Promise.all([
      this.host.authorized(getEndpoints),
      told.settings ? undefined : this.host.authorized(getSettings),
      told.contacts ? undefined : this.host.authorized(getContacts),
      told.devices ? undefined : this.host.authorized(getDevices),
    ]);
    this.#learn({ endpoints, settings, contacts, devices });
    return vapidPublicKey;
  }

  /** Shown at once; put back if it is refused. */
  async set(change: Change): Promise<void> {
    const pending: Pending = { change };
    this.#pending = [...this.#pending, pending];
    const saving = this.#saved.then(() => this.#save(pending));
    this.#saved = saving.catch(() => undefined);
    try {
      const version = await saving;
      this.#pending = this.#pending.map((one) => (one === pending ? { change, version } : one));
    } catch (error) {
      this.#pending = this.#pending.filter((one) => one !== pending);
      throw error;
    }
  }

  /** What was stored before it, and itself; what came after it has its own turn. */
  async #save(pending: Pending): Promise<number> {
    if (!this.host.state.account.settings) this.#learn({ settings: await this.host.authorized(getSettings) });
    // Somebody else is signed in by now.
    if (!this.#pending.includes(pending)) return 0;
    const { settings, version = -1 } = this.host.state.account;
    this.#pending = this.#pending.filter((one) => one.version === undefined || one.version > version);
    const upTo = this.#pending.slice(0, this.#pending.indexOf(pending) + 1);
    const whole = upTo.reduce(changed, settings) ?? {};
    return this.host.authorized((token) => putSettings(token, whole));
  }

  /** Signed out: what one person changed is nothing to the next. */
  reset(): void {
    this.#pending = [];
  }

  async addEndpoint(channel: ChannelName, where: { address: string } | { subscription: Json }): Promise<void> {
    await this.host.authorized((token) => addEndpoint(token, channel, where));
  }

  /** What asks to verify it goes out anew; an address that is there already would stay as it is. */
  async addEndpointAgain({ endpointId, channel, address }: Endpoint): Promise<void> {
    await this.removeEndpoint(endpointId);
    await this.host.authorized((token) => addEndpoint(token, channel, { address }));
  }

  async verify(endpointId: string, code: string): Promise<void> {
    await this.host.authorized((token) => verifyEndpoint(token, endpointId, code));
  }

  async removeEndpoint(endpointId: string): Promise<void> {
    await this.host.authorized((token) => removeEndpoint(token, endpointId));
  }

  unlink = (deviceId: string): Promise<void> => this.host.authorized((token) => unlinkDevice(token, deviceId));

  contact = (userId: string, on: boolean): Promise<void> => this.host.authorized((token) => putContact(token, userId, on));

  #learn(account: Account): void {
    this.host.dispatch({ type: 'local.account', account });
  }
}
