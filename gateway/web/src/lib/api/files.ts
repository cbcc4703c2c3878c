// Files of messages: reserved, brought to a signed address, fetched from another one.

import { isRecord, text } from '../guards';
import { ApiError, call, headersFor, id, readRefusal, unexpected } from './call';

export interface FileAbout {
  readonly fileName: string;
  readonly contentType: string;
  readonly sizeBytes: number;
}

export interface Reserved {
  readonly attachmentId: string;
  readonly uploadUrl: string;
  readonly method: string;
  readonly headers: Readonly<Record<string, string>>;
}

export async function reserve(bearer: string, conversationId: string, about: FileAbout): Promise<Reserved> {
  const answer = await call('POST', 'v1/attachments', bearer, { ...about, conversationId });
  const [attachmentId, uploadUrl] = [text(answer.attachmentId), text(answer.uploadUrl)];
  if (!attachmentId || !uploadUrl) throw unexpected();
  const headers = isRecord(answer.headers) ? Object.entries(answer.headers) : [];
  return {
    attachmentId,
    uploadUrl,
    method: text(answer.method) ?? 'PUT',
    headers: Object.fromEntries(headers.flatMap(([name, value]) => (typeof value === 'string' ? [[name, value]] : []))),
  };
}

const unreachable = (): ApiError => new ApiError(0, 'network', 'The server cannot be reached.');

/** The bytes; only an XMLHttpRequest tells how many have gone. */
export function upload({ uploadUrl, method, headers }: Reserved, file: Blob, onSent: (bytes: number) => void, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest();
    request.open(method, uploadUrl);
    for (const [name, value] of Object.entries(headers)) request.setRequestHeader(name, value);
    request.upload.onprogress = (event) => onSent(event.loaded);
    request.onload = () => {
      if (request.status >= 200 && request.status < 300) return resolve();
      readRefusal(new Response(request.responseText, { status: request.status })).then(reject, reject);
    };
    request.onerror = () => reject(unreachable());
    request.onabort = () => reject(unreachable());
    signal.addEventListener('abort', () => request.abort(), { once: true });
    request.send(file);
  });
}

async function follow(bearer: string, attachmentId: string, method: 'GET' | 'HEAD'): Promise<Response> {
  const path = `v1/attachments/${id(attachmentId)}`;
  const response = await fetch(path, { method, headers: headersFor(bearer, '*/*') }).catch(() => Promise.reject(unreachable()));
  if (!response.ok) throw method === 'HEAD' ? new ApiError(response.status, `http_${response.status}`, 'This file is not there any more.') : await readRefusal(response);
  return response;
}

export const fetchFile = async (bearer: string, attachmentId: string): Promise<Blob> => (await follow(bearer, attachmentId, 'GET')).blob();

/** Where it can be downloaded without a login, for a minute. */
export const fileAddress = async (bearer: string, attachmentId: string): Promise<string> => (await follow(bearer, attachmentId, 'HEAD')).url;
