// sessionStorage and localStorage, or memory where the browser refuses them.

export interface Store {
  get(key: string): string | null;
  set(key: string, value: string): void;
  remove(key: string): void;
}

export function memoryStore(): Store {
  const values = new Map<string, string>();
  return {
    get: (key) => values.get(key) ?? null,
    set: (key, value) => void values.set(key, value),
    remove: (key) => void values.delete(key),
  };
}

/** Private modes and full quotas throw at any call: what cannot be kept is then kept in memory. */
export function browserStore(open: () => Storage): Store {
  const fallback = memoryStore();
  const attempt = <T>(call: (storage: Storage) => T, instead: () => T): T => {
    try {
      return call(open());
    } catch {
      return instead();
    }
  };
  return {
    get: (key) => attempt((storage) => storage.getItem(key), () => null) ?? fallback.get(key),
    set: (key, value) => attempt((storage) => storage.setItem(key, value), () => fallback.set(key, value)),
    remove: (key) => {
      fallback.remove(key);
      attempt((storage) => storage.removeItem(key), () => undefined);
    },
  };
}

export function readJson(store: Store, key: string): unknown {
  try {
    return JSON.parse(store.get(key) ?? 'null');
  } catch {
    return null;
  }
}
