// Signing in.

import { text } from '../guards';
import { call, unexpected } from './call';

export interface Session {
  readonly userId: string;
  readonly deviceId: string;
  readonly websocketUrl: string;
  readonly sessionToken: string;
  readonly expiresAt: string;
}

export async function devToken(userId: string): Promise<string> {
  const { token } = await call('POST', 'dev/token', null, { userId });
  if (typeof token !== 'string') throw unexpected();
  return token;
}

export async function bootstrap(accessToken: string, deviceId: string): Promise<Session> {
  const answer = await call('POST', 'v1/sessions/bootstrap', accessToken, { deviceId, platform: 'web' });
  const userId = text(answer.userId);
  const sessionToken = text(answer.sessionToken);
  if (!userId || !sessionToken) throw unexpected();
  return {
    userId,
    sessionToken,
    deviceId: text(answer.deviceId) ?? deviceId,
    websocketUrl: text(answer.websocketUrl) ?? 'v1/connect',
    expiresAt: text(answer.expiresAt) ?? '',
  };
}
