// Where the socket is.

const LOOPBACK = new Set(['127.0.0.1', 'localhost', '[::1]']);

/**
 * The address that the server gave, or the page's own place. A server that only knows itself by a
 * loopback name is reached the way the page was: by its other name, or through a tunnel.
 */
export function socketUrl(given: string, page: string): string {
  const own = new URL('v1/connect', page);
  const said = given ? new URL(given, page) : own;
  const url = LOOPBACK.has(said.hostname) && said.host !== own.host ? own : said;
  url.protocol = url.protocol.replace(/^http/, 'ws');
  return url.href;
}
