// What is a person's own: marks on conversations, drafts, settings, addresses, devices, contacts.

import { isCount, text } from '../guards';
import type { Account, Endpoint, Json } from '../protocol';
import { toAccount, toContacts } from '../reading';
import { call, id, unexpected } from './call';

const path = (conversationId: string, rest: string): string => `v1/conversations/${id(conversationId)}/${rest}`;

/** `until`: not for ever. */
export async function mute(bearer: string, conversationId: string, until?: string): Promise<void> {
  await call('PUT', path(conversationId, 'mute'), bearer, until ? { until } : {});
}

export async function unmute(bearer: string, conversationId: string): Promise<void> {
  await call('DELETE', path(conversationId, 'mute'), bearer);
}

export async function mark(bearer: string, conversationId: string, which: 'pin' | 'archive', on: boolean): Promise<void> {
  await call(on ? 'PUT' : 'DELETE', path(conversationId, which), bearer, on ? {} : undefined);
}

/**
 * `savedAt`: when it was written, by this device's clock; the later draft stays. Answers the version of
 * the account that knows it.
 */
export async function saveDraft(bearer: string, conversationId: string, words: string, savedAt: string): Promise<number> {
  const { version } = words
    ? await call('PUT', path(conversationId, 'draft'), bearer, { text: words, savedAt })
    : await call('DELETE', path(conversationId, 'draft'), bearer, { savedAt });
  return isCount(version) ? version : 0;
}

export async function getSettings(bearer: string): Promise<Json> {
  return call('GET', 'v1/settings', bearer);
}

/** Answers the version of the account that knows them. */
export async function putSettings(bearer: string, settings: Json): Promise<number> {
  const { version } = await call('PUT', 'v1/settings', bearer, settings);
  return isCount(version) ? version : 0;
}

export interface Endpoints {
  readonly endpoints: Account['endpoints'];
  /** Without it this server sends no push. */
  readonly vapidPublicKey?: string;
}

export async function getEndpoints(bearer: string): Promise<Endpoints> {
  const answer = await call('GET', 'v1/notification-endpoints', bearer);
  return { endpoints: toAccount(answer).endpoints, vapidPublicKey: text(answer.vapidPublicKey) };
}

export async function addEndpoint(
  bearer: string,
  channel: Endpoint['channel'],
  where: { address: string } | { subscription: Json },
): Promise<{ endpointId: string; state: string }> {
  const answer = await call('POST', 'v1/notification-endpoints', bearer, { channel, ...where });
  const endpointId = text(answer.endpointId);
  if (!endpointId) throw unexpected();
  return { endpointId, state: text(answer.state) ?? 'pending' };
}

export async function verifyEndpoint(bearer: string, endpointId: string, code: string): Promise<void> {
  await call('POST', `v1/notification-endpoints/${id(endpointId)}/verify`, bearer, { code });
}

export async function removeEndpoint(bearer: string, endpointId: string): Promise<void> {
  await call('DELETE', `v1/notification-endpoints/${id(endpointId)}`, bearer);
}

export async function getDevices(bearer: string): Promise<Account['devices']> {
  return toAccount(await call('GET', 'v1/devices', bearer)).devices;
}

export async function unlinkDevice(bearer: string, deviceId: string): Promise<void> {
  await call('DELETE', `v1/devices/${id(deviceId)}`, bearer);
}

export async function getContacts(bearer: string): Promise<readonly string[]> {
  const { contacts } = await call('GET', 'v1/contacts', bearer);
  return toContacts(contacts) ?? [];
}

export async function putContact(bearer: string, userId: string, on: boolean): Promise<void> {
  await call(on ? 'PUT' : 'DELETE', `v1/contacts/${id(userId)}`, bearer, on ? {} : undefined);
}
