// The present, as far as the page shows it, and whether somebody looks at the page.

class Moment {
  now = $state.raw(new Date());
  /** visible and focused: what is on the screen is seen */
  attentive = $state(false);

  start(): () => void {
    const tick = (): void => {
      this.now = new Date();
    };
    const look = (): void => {
      this.attentive = document.visibilityState === 'visible' && document.hasFocus();
      if (this.attentive) tick();
    };
    look();
    const timer = setInterval(tick, 20_000);
    const events = ['focus', 'blur', 'pageshow'] as const;
    for (const name of events) addEventListener(name, look);
    document.addEventListener('visibilitychange', look);
    return () => {
      clearInterval(timer);
      for (const name of events) removeEventListener(name, look);
      document.removeEventListener('visibilitychange', look);
    };
  }
}

export const moment = new Moment();
