<?php
// As the real one opens its databases, and nothing else of it.
function checkDatabase() {
	return new PDO('mysql:host=localhost;dbname=eve_ng_db', 'eve-ng', 'eve-ng');
}
function html5_checkDatabase() {
	return new PDO('mysql:host=127.0.0.1;dbname=guacdb','guacuser','eve-ng');
}
