// The format of Server-Sent Events, as the HTML standard reads it: text in pieces → events. The
// browser's own EventSource cannot send an Authorization header, so the page reads the stream itself.

export interface StreamEvent {
  readonly type: string;
  readonly data: string;
  readonly lastEventId: string;
}

export class EventStreamParser {
  /** How soon to come back after a cut, if the server said so. */
  retryMs: number | undefined;
  #started = false;
  /** A line that has not ended yet. */
  #rest = '';
  /** The last piece ended with CR: a LF that begins the next one belongs to it. */
  #afterCr = false;
  #type = '';
  #data: string[] = [];
  #lastEventId = '';

  /** An event that has not ended yet waits for the next piece; at the end of the stream it is lost. */
  push(piece: string): StreamEvent[] {
    let text = piece;
    if (!this.#started && text !== '') {
      this.#started = true;
      if (text.startsWith('\uFEFF')) text = text.slice(1);
    }
    if (this.#afterCr && text !== '') {
      this.#afterCr = false;
      if (text.startsWith('\n')) text = text.slice(1);
    }
    if (text.endsWith('\r')) this.#afterCr = true;
    const lines = text.split(/\r\n|\n|\r/);
    lines[0] = this.#rest + (lines[0] ?? '');
    this.#rest = lines.pop() ?? '';
    return lines.flatMap((line) => this.#line(line) ?? []);
  }

  #line(line: string): StreamEvent | null {
    if (line === '') return this.#dispatch();
    const colon = line.indexOf(':');
    // A comment: only a sign of life.
    if (colon === 0) return null;
    const field = colon < 0 ? line : line.slice(0, colon);
    const value = colon < 0 ? '' : line.slice(line[colon + 1] === ' ' ? colon + 2 : colon + 1);
    if (field === 'event') this.#type = value;
    else if (field === 'data') this.#data.push(value);
    else if (field === 'id' && !value.includes('\0')) this.#lastEventId = value;
    else if (field === 'retry' && /^[0-9]+$/.test(value)) this.retryMs = Number(value);
    return null;
  }

  #dispatch(): StreamEvent | null {
    const [type, data] = [this.#type || 'message', this.#data];
    [this.#type, this.#data] = ['', []];
    return data.length > 0 ? { type, data: data.join('\n'), lastEventId: this.#lastEventId } : null;
  }
}
