// Short words about what was just done, or could not be. They go by themselves.

import { sentence } from './format';

export interface Toast {
  readonly id: number;
  readonly words: string;
  readonly kind: 'done' | 'problem';
}

const LASTS_MS = { done: 3_500, problem: 7_000 } as const;
const MOST = 3;

export class Toasts {
  shown = $state.raw<readonly Toast[]>([]);
  #ids = 0;

  say(words: string, kind: Toast['kind'] = 'done'): void {
    const toast: Toast = { id: ++this.#ids, words: sentence(words), kind };
    this.shown = [...this.shown.filter((one) => one.words !== toast.words), toast].slice(-MOST);
    setTimeout(() => this.dismiss(toast.id), LASTS_MS[kind]);
  }

  dismiss(id: number): void {
    this.shown = this.shown.filter((one) => one.id !== id);
  }

  /** True: it was done. What went wrong is said. */
  async attempt(what: Promise<unknown>, done?: string): Promise<boolean> {
    try {
      await what;
      if (done) this.say(done);
      return true;
    } catch (error) {
      this.say(error instanceof Error ? error.message : 'This did not work.', 'problem');
      return false;
    }
  }
}

export const toasts = new Toasts();
