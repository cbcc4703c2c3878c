// The service worker: shows what the server pushes to this browser, and takes it back when it was read
// elsewhere. It keeps nothing and answers no request of the page.

// A picture of points: not every browser draws the other one in a notification.
const ICON = 'parley-192.png';
const ROUTE = '#/c/';

self.addEventListener('install', () => self.skipWaiting());
self.addEventListener('activate', (event) => event.waitUntil(self.clients.claim()));

self.addEventListener('push', (event) => {
  const push = read(event.data);
  if (push?.type === 'digest') event.waitUntil(inTurn(() => show(push)));
  else if (push?.type === 'close') event.waitUntil(inTurn(() => close(push)));
});

self.addEventListener('notificationclick', (event) => {
  event.notification.close();
  event.waitUntil(open(event.notification.data?.conversationId));
});

/**
 * One push after the other. A close must find what the push before it is about to show; and Chromium
 * forgets a notification that is asked for while it is on its way to the screen, so nothing could take
 * it back any more.
 */
let turn = Promise.resolve();
function inTurn(work) {
  const done = turn.then(work);
  turn = done.catch(() => undefined);
  return done;
}

function read(data) {
  try {
    return data.json();
  } catch {
    return null;
  }
}

async function show({ title, body, tag, conversationId, notificationId, at }) {
  if (await isBeingRead(conversationId)) return;
  await self.registration.showNotification(title, {
    body,
    tag,
    // Another message of a conversation whose notification is still there is worth a sound.
    renotify: true,
    icon: ICON,
    badge: ICON,
    timestamp: Date.parse(at),
    data: { conversationId, notificationId, at },
  });
}

/** What is newer than the reading stays. */
async function close({ tag, at }) {
  for (const shown of await self.registration.getNotifications({ tag })) {
    if (!(shown.data?.at > at)) shown.close();
  }
}

const windows = () => self.clients.matchAll({ type: 'window', includeUncontrolled: true });

const addressOf = (conversationId) =>
  new URL(conversationId ? ROUTE + encodeURIComponent(conversationId) : '#/', self.registration.scope).href;

async function isBeingRead(conversationId) {
  return (await windows()).some((client) => client.focused && client.url === addressOf(conversationId));
}

/** In a window that is there, if there is one: the page follows its address. */
async function open(conversationId) {
  const address = addressOf(conversationId);
  const [client] = (await windows()).sort((a, b) => Number(b.focused) - Number(a.focused));
  if (!client) return self.clients.openWindow(address);
  await client.focus();
  client.postMessage({ type: 'open', address });
}
