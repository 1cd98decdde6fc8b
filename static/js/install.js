// Registers the worker that shows a card when there is no connection.
navigator.serviceWorker?.register("/worker.js").catch(() => {}); // refused by the browser: then its own error page has to do
