/** What was said in this browser: waiting to be sent, or sent and waiting to be learned from. Survives the page. */
import type { FeedbackEvent } from "./feedback.ts";

/** One piece of feedback on its way. Times are milliseconds since 1970. */
export interface Entry {
  readonly event: FeedbackEvent;
  readonly ingest: string;
  readonly state: "waiting" | "sent" | "refused";
  readonly attempts: number;
  readonly nextAt: number;
  readonly saidAt: number;
  readonly reason?: string;
}

export interface Outbox {
  put(entry: Entry): Promise<void>;
  remove(eventId: string): Promise<void>;
  all(): Promise<Entry[]>;
}

/** Entries that live as long as the page: where a browser refuses to store. */
export class MemoryOutbox implements Outbox {
  private readonly entries = new Map<string, Entry>();

  async put(entry: Entry): Promise<void> {
    this.entries.set(entry.event.event_id, entry);
  }

  async remove(eventId: string): Promise<void> {
    this.entries.delete(eventId);
  }

  async all(): Promise<Entry[]> {
    return [...this.entries.values()];
  }
}

const STORE = "outbox";

/** Entries in IndexedDB, shared by all tabs of one origin. */
class IndexedOutbox implements Outbox {
  constructor(private readonly database: IDBDatabase) {}

  async put(entry: Entry): Promise<void> {
    await this.run("readwrite", (store) => store.put(entry));
  }

  async remove(eventId: string): Promise<void> {
    await this.run("readwrite", (store) => store.delete(eventId));
  }

  all(): Promise<Entry[]> {
    return this.run("readonly", (store) => store.getAll());
  }

  /** Resolves when the transaction is complete, so what was put is on disk. */
  private run<T>(mode: IDBTransactionMode, ask: (store: IDBObjectStore) => IDBRequest<T>): Promise<T> {
    return new Promise((resolve, reject) => {
      const transaction = this.database.transaction(STORE, mode, { durability: "strict" });
      const request = ask(transaction.objectStore(STORE));
      transaction.oncomplete = () => resolve(request.result);
      transaction.onabort = () => reject(transaction.error);
    });
  }
}

/** The browser's outbox; in memory where IndexedDB is refused, as in some private windows. */
export function openOutbox(): Promise<Outbox> {
  return new Promise((resolve) => {
    const inMemory = () => resolve(new MemoryOutbox());
    try {
      const request = indexedDB.open("flywheel-feedback", 1);
      request.onupgradeneeded = () => request.result.createObjectStore(STORE, { keyPath: "event.event_id" });
      request.onsuccess = () => resolve(new IndexedOutbox(request.result));
      request.onerror = inMemory;
    } catch {
      inMemory();
    }
  });
}
