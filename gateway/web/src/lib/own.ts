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

export class Own {
  constructor(private readonly host: Host) {}

  /** What no sync has told yet; answers the key for web push, if this server has one. */
  async load(): Promise<string | undefined> {
    const { settings, contacts, devices } = this.host.state.account;
    const [endpoints, ...parts] = await Promise.all([
      this.host.authorized(getEndpoints),
      settings ?? this.host.authorized(getSettings),
      contacts ?? this.host.authorized(getContacts),
      devices ?? this.host.authorized(getDevices),
    ]);
    this.#learn({ endpoints: endpoints.endpoints, settings: parts[0], contacts: parts[1], devices: parts[2] });
    return endpoints.vapidPublicKey;
  }

  /** A change of some settings; the others stay as they are. */
  async set(change: Json): Promise<void> {
    const before = this.host.state.account.settings ?? (await this.host.authorized(getSettings));
    const settings = { ...before, ...change };
    // Shown at once, so that a switch follows the finger; put back if it is refused.
    this.#learn({ settings });
    try {
      await this.host.authorized((token) => putSettings(token, settings));
    } catch (error) {
      if (this.host.state.account.settings === settings) this.#learn({ settings: before });
      throw error;
    }
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
