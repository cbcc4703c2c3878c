// Web push in this browser: permission, the service worker, and its subscription.

import { isRecord, text } from './guards';
import type { Json } from './protocol';

/** Beside the page, so that it serves all of it, also below a path of somebody else's site. */
const WORKER = 'sw.js';

export type PushState =
  /** this browser cannot, or the page is not on https */
  | 'unsupported'
  /** the person has said no; only the browser's own settings change that */
  | 'denied'
  | 'off'
  | 'on';

const supported = (): boolean => 'serviceWorker' in navigator && 'PushManager' in window && 'Notification' in window;

/** What the browser gave the push service for this page, if anything. */
export async function subscription(): Promise<PushSubscription | null> {
  if (!supported()) return null;
  const registration = await navigator.serviceWorker.getRegistration();
  return (await registration?.pushManager.getSubscription()) ?? null;
}

export async function pushState(): Promise<PushState> {
  if (!supported()) return 'unsupported';
  if (Notification.permission === 'denied') return 'denied';
  return (await subscription()) ? 'on' : 'off';
}

/** Asks the person; null: they do not want it. */
export async function subscribe(vapidPublicKey: string): Promise<Json | null> {
  if ((await Notification.requestPermission()) !== 'granted') return null;
  const registration = await registerWorker();
  const made = await registration.pushManager.subscribe({ userVisibleOnly: true, applicationServerKey: bytes(vapidPublicKey) });
  const { endpoint, keys } = made.toJSON();
  return { endpoint, keys };
}

export async function unsubscribe(): Promise<void> {
  await (await subscription())?.unsubscribe();
}

export async function registerWorker(): Promise<ServiceWorkerRegistration> {
  await navigator.serviceWorker.register(WORKER);
  return navigator.serviceWorker.ready;
}

/** A notification was clicked: the worker says which conversation it was about. */
export function onOpened(follow: (hash: string) => void): () => void {
  if (!('serviceWorker' in navigator)) return () => undefined;
  const heard = (event: MessageEvent): void => {
    const said: unknown = event.data;
    const address = isRecord(said) && said.type === 'open' ? text(said.address) : undefined;
    if (address) follow(new URL(address).hash);
  };
  navigator.serviceWorker.addEventListener('message', heard);
  return () => navigator.serviceWorker.removeEventListener('message', heard);
}

/** base64url → bytes. */
export function bytes(base64url: string): Uint8Array<ArrayBuffer> {
  const binary = atob(base64url.replaceAll('-', '+').replaceAll('_', '/'));
  return Uint8Array.from(binary, (letter) => letter.charCodeAt(0));
}
