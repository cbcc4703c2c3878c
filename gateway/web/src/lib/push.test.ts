import { describe, expect, it } from 'vitest';

import { bytes } from './push';

describe('the key of a push service', () => {
  it('is read from base64url, without padding', () => {
    expect([...bytes('-_8A')]).toEqual([0xfb, 0xff, 0x00]);
    expect([...bytes('AQI')]).toEqual([1, 2]);
  });
});
