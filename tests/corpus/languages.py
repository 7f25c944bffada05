"""What customers write, in many languages: a letter, a table with few letters beyond ASCII, names, a heading; and each one's code pages."""

from __future__ import annotations

import unicodedata
from typing import NamedTuple


class Language(NamedTuple):
    """``letter`` is prose, ``table`` a CSV file, ``names`` a list with one on each line, ``heading`` is in capitals, if there are such."""

    encodings: str
    letter: str
    table: str
    names: str
    heading: str


_WESTERN = "cp1252 iso8859_15 mac_roman"
_CENTRAL = "cp1250 iso8859_2"
_BALTIC = "cp1257 iso8859_13"
_CYRILLIC = "cp1251 koi8_r cp866 iso8859_5"

LANGUAGES = {
    "English": Language(
        "cp1252 mac_roman",
        "Please find attached our offer for the “Gulf Pavilion” – it includes the stage, the lighting and the client’s café. The total "
        "is £12,400, and we’d be glad to discuss it on Thursday. The façade will be printed on both sides… Don’t hesitate to call us; "
        "we’ll send the naïve sketch and the résumé of our designer as well.",
        "item,price,note\nStage 6 x 4 m,£1200,next to hall 3\nLighting,£800,\nCoffee bar,£450,the client’s own machine\n",
        "Zoë Brontë\nChloë Smith\nRenée Walker\nJohn Taylor\nMary O’Neill\n",
        "FINAL OFFER – KAYAN LIVE\nSTAGE, LIGHTING & CAFÉ\n",
    ),
    "French": Language(
        _WESTERN,
        "Veuillez trouver ci-joint notre devis pour le stand de votre société au salon de Genève. Le montage débutera le 3 février à "
        "huit heures, et nos équipes seront présentes jusqu'à la clôture. Nous avons prévu un éclairage supplémentaire près de "
        "l'entrée, là où le public s'arrête. N'hésitez pas à nous appeler dès que le client aura validé les maquettes; ça nous "
        "aiderait énormément.",
        "article;quantité;prix\nStand;1;4200\nChaises;24;12\nÉcran;2;350\nCafé;1;90\n",
        "François Lefèvre\nHélène Dupré\nNoël Gérard\nPaul Martin\nAgnès Béranger\n",
        "DEVIS DÉFINITIF\nÉCLAIRAGE ET DÉCORATION DU STAND PRINCIPAL, PRÊT À L'ENTRÉE\n",
    ),
    "German": Language(
        _WESTERN,
        "Sehr geehrte Frau Müller, anbei erhalten Sie unser Angebot für den Messestand in Köln. Die Fläche beträgt 48 Quadratmeter, "
        "die Höhe der Rückwand höchstens vier Meter. Für Beleuchtung und Möbel fallen zusätzliche Gebühren an. Der Aufbau beginnt am "
        "Dienstag früh, Schlüssel gibt es an der Südseite. Mit freundlichen Grüßen, Ihr Team aus Düsseldorf.",
        "Name;Stadt;Betrag\nSchmidt;Berlin;1200\nJäger;Hamburg;800\nWeiß;Bremen;450\n",
        "Jürgen Schröder\nKäthe Weiß\nBjörn Müller\nAnna Schmidt\nJörg Günther\n",
        "ANGEBOT FÜR DEN MESSESTAND\nAUFBAU UND ÜBERGABE DER SCHLÜSSEL\n",
    ),
    "Spanish": Language(
        _WESTERN,
        "Estimados señores: adjuntamos el presupuesto del pabellón para la exposición de otoño. El montaje comenzará el miércoles por "
        "la mañana y la iluminación quedará lista al día siguiente. ¿Podrían confirmar el número de azafatas y el diseño del rótulo? "
        "También necesitamos la dirección del almacén. La decoración incluye más de cien metros de moqueta en el rincón de los niños.",
        "empresa;ciudad;importe\nAcme;Madrid;1200\nLogística Sur;Málaga;800\nNorte;Bilbao;450\n",
        "José Núñez\nMaría Ibáñez\nÁngel Peña\nLucía Gómez\nPedro Ruiz\n",
        "PRESUPUESTO DE ILUMINACIÓN\nDISEÑO DEL PABELLÓN DE ESPAÑA\n",
    ),
    "Portuguese": Language(
        _WESTERN,
        "Segue em anexo a proposta para o estande da exposição em São Paulo. A montagem começa na terça-feira de manhã e a iluminação "
        "estará pronta no dia seguinte. Não se esqueçam de confirmar o número de cadeiras e a decoração do balcão. As condições de "
        "pagamento são as habituais, e o preço já inclui a remoção do lixo após o evento. Até amanhã, e obrigado pela atenção.",
        "empresa;cidade;valor\nAcme;Lisboa;1200\nConstruções Lda;Braga;800\nSul;São João;450\n",
        "João Gonçalves\nInês Conceição\nLuís Magalhães\nAna Simões\nCarlos Brandão\n",
        "PROPOSTA DE ILUMINAÇÃO\nMONTAGEM E DECORAÇÃO DO ESTANDE\n",
    ),
    "Italian": Language(
        _WESTERN,
        "Gentile cliente, in allegato trova il preventivo per lo stand alla fiera di Milano. L'allestimento comincerà lunedì e sarà "
        "pronto già martedì sera, perché la società ha più operai del solito. La quantità di sedie è da confermare; il caffè sarà "
        "servito all'entrata. Così potremo garantire la qualità di sempre e la puntualità che ci è stata chiesta.",
        "articolo;quantità;prezzo\nStand;1;4200\nSedie;24;12\nCaffè;1;90\n",
        "Niccolò Rossi\nGiosuè Bianchi\nMaria Totò\nCarlo Cantù\nPaolo Nicolò Verdì\n",
        "QUALITÀ E PUNTUALITÀ\nPREVENTIVO PER LA CITTÀ DI MILANO\n",
    ),
    "Swedish": Language(
        _WESTERN,
        "Här kommer vår offert för montern på mässan i Göteborg. Bygget börjar på måndag och är färdigt på onsdag kväll. Vi behöver "
        "veta hur många stolar ni önskar och om skärmen ska hänga på väggen. Belysningen ingår, men städningen måste beställas för "
        "sig. Hör gärna av er så fort ni kan, så ordnar vi resten åt er.",
        "namn;stad;belopp\nLindström;Stockholm;1200\nBerg;Malmö;800\nHolm;Lund;450\n",
        "Åsa Lindström\nBjörn Sjöberg\nGöran Åkesson\nEva Holm\nJörgen Ström\n",
        "OFFERT FÖR MÄSSAN\nBELYSNING OCH STÄDNING PÅ PLATS\n",
    ),
    "Danish": Language(
        _WESTERN,
        "Her er vores tilbud på standen til messen i København. Opbygningen begynder på tirsdag og er færdig på torsdag. Vi har brug "
        "for at vide, hvor mange stole I ønsker, og om skærmen skal hænge på væggen. Rengøring er ikke med i prisen, men kan bestilles "
        "særskilt. Vi håber at høre fra jer snart, så vi kan gå i gang.",
        "navn;by;beløb\nSørensen;Aarhus;1200\nHolm;København;800\nBerg;Køge;450\n",
        "Søren Kjær\nÅse Jørgensen\nBjørn Nørgaard\nEva Holm\nPer Bæk\n",
        "TILBUD PÅ MESSESTAND I KØBENHAVN\nRENGØRING OG OPSÆTNING\n",
    ),
    "Finnish": Language(
        _WESTERN,
        "Liitteenä on tarjouksemme messuosastosta Helsingissä. Rakentaminen alkaa maanantaina ja päättyy keskiviikkona, joten näyttö "
        "täytyy tilata heti. Tarvitsemme vielä tiedon siitä, kuinka monta tuolia näyttelyyn tarvitaan. Hinta sisältää valaistuksen, "
        "mutta ei siivousta. Ystävällisin terveisin, myyntipäällikkö.",
        "nimi;kaupunki;summa\nMäkinen;Helsinki;1200\nVirtanen;Jyväskylä;800\nLaine;Oulu;450\n",
        "Päivi Mäkelä\nJärvinen Yrjö\nTyöväinen Väinö\nEva Laine\nHämäläinen Pentti\n",
        "TARJOUS NÄYTTELYSTÄ\nMYYNTIPÄÄLLIKKÖ JYVÄSKYLÄSSÄ\n",
    ),
    "Icelandic": Language(
        "cp1252 iso8859_15",
        "Hér með fylgir tilboð okkar í sýningarbásinn í Reykjavík. Uppsetningin hefst á miðvikudag og lýsingin verður tilbúin daginn "
        "eftir. Vinsamlegast staðfestið fjölda stóla og hæð bakveggjarins. Þrif eru ekki innifalin í verðinu en það má panta þau "
        "sérstaklega. Við þökkum fyrir traustið og hlökkum til samstarfsins á næstu mánuðum.",
        "nafn;staður;upphæð\nÞórður;Akureyri;1200\nBjörk;Reykjavík;800\nÓlafur;Selfoss;450\n",
        "Sigríður Þórðardóttir\nGuðmundur Jónsson\nÞorbjörg Ólafsdóttir\nHalldór Ágústsson\n",
        "TILBOÐ Í SÝNINGARBÁS\nLÝSING OG UPPSETNING Á STAÐNUM – ÞRIF\n",
    ),
    "Dutch": Language(
        _WESTERN,
        "Hierbij ontvangt u onze offerte voor de stand op de beurs in Utrecht. De opbouw begint woensdag vroeg en de verlichting is "
        "één dag later gereed. Wij verzoeken u het aantal stoelen en de hoogte van de achterwand te bevestigen; ook de coördinatie met "
        "de cateraar is geregeld. Het café blijft tot zes uur open. De financiële details vindt u in de bijlage, en vóór vrijdag "
        "krijgt u de tekening.",
        "naam;plaats;bedrag\nJansen;Utrecht;1200\nCafé Zuid;Breda;800\nDaniël;Gent;450\n",
        "Daniël de Vries\nChloë Jansen\nRenée van Dijk\nPieter Bakker\nZoë Smit\n",
        "OFFERTE VOOR ÉÉN STAND\nCOÖRDINATIE EN OPBOUW VÓÓR VRIJDAG\n",
    ),
    "Polish": Language(
        _CENTRAL,
        "Szanowni Państwo, w załączeniu przesyłamy ofertę na stoisko targowe w Poznaniu. Montaż rozpocznie się w środę rano, a "
        "oświetlenie będzie gotowe następnego dnia. Prosimy o potwierdzenie liczby krzeseł oraz wysokości ścianki. Cena nie obejmuje "
        "sprzątania, które można zamówić osobno. Jeśli będą Państwo mieć pytania, proszę dzwonić od poniedziałku do piątku.",
        "nazwa;miasto;kwota\nStolarz;Poznań;1200\nŚwiatło;Gdynia;800\nBudowa;Łódź;450\n",
        "Małgorzata Wójcik\nŁukasz Dąbrowski\nZofia Świątek\nJan Kowalski\nStanisław Żak\n",
        "OFERTA NA OŚWIETLENIE STOISKA\nZAŁĄCZNIK DO UMOWY – MONTAŻ ŚCIANKI\n",
    ),
    "Czech": Language(
        _CENTRAL,
        "Vážení zákazníci, v příloze zasíláme nabídku na výstavní stánek v Brně. Montáž začne ve středu ráno a osvětlení bude hotové "
        "příští den. Prosíme o potvrzení počtu židlí a výšky zadní stěny. Cena nezahrnuje úklid, který lze objednat zvlášť. Těšíme se "
        "na spolupráci a děkujeme za rychlou odpověď. Naši řemeslníci přijedou už v úterý večer.",
        "název;město;částka\nTruhlář;Brno;1200\nSvětla;Praha;800\nStavba;Plzeň;450\n",
        "Jiří Dvořák\nKateřina Nováková\nOndřej Růžička\nPetr Malý\nZdeněk Šťastný\n",
        "NABÍDKA NA VÝSTAVNÍ STÁNEK\nPŘÍLOHA KE SMLOUVĚ – OSVĚTLENÍ\n",
    ),
    "Hungarian": Language(
        _CENTRAL,
        "Tisztelt Ügyfelünk! Mellékelten küldjük ajánlatunkat a budapesti kiállítási standra. Az építés szerdán reggel kezdődik, a "
        "világítás másnap készül el. Kérjük, erősítsék meg a székek számát és a hátfal magasságát. Az ár nem tartalmazza a takarítást, "
        "amely külön rendelhető. Várjuk megtisztelő válaszukat, és örömmel állunk rendelkezésükre a jövő héten is.",
        "név;város;összeg\nAsztalos;Győr;1200\nFény Kft;Budapest;800\nÉpítő;Pécs;450\n",
        "Szűcs Zoltán\nErdős Tünde\nKovács István\nNagy Péter\nGyőri Ágnes\n",
        "ÁRAJÁNLAT KIÁLLÍTÁSI STANDRA\nVILÁGÍTÁS ÉS ÉPÍTÉS – MELLÉKLET\n",
    ),
    "Croatian": Language(
        _CENTRAL,
        "Poštovani, u privitku šaljemo ponudu za izložbeni štand u Zagrebu. Montaža počinje u srijedu ujutro, a rasvjeta će biti "
        "gotova sljedeći dan. Molimo potvrdite broj stolica i visinu stražnje stijene. Cijena ne uključuje čišćenje, koje se može "
        "naručiti posebno. Radujemo se suradnji i već unaprijed zahvaljujemo na brzom odgovoru. Vaš tim za sajmove i događaje.",
        "naziv;grad;iznos\nStolar;Zagreb;1200\nSvjetlo;Šibenik;800\nGradnja;Čakovec;450\n",
        "Željko Horvat\nIvana Jurić\nTomislav Šarić\nAna Kovačević\nDraženka Žanić\n",
        "PONUDA ZA IZLOŽBENI ŠTAND\nRASVJETA I ČIŠĆENJE U CIJENI\n",
    ),
    "Romanian": Language(
        _CENTRAL,
        "Stimaţi parteneri, vă trimitem alăturat oferta pentru standul de la târgul din Bucureşti. Montajul începe miercuri dimineaţa, "
        "iar iluminatul va fi gata a doua zi. Vă rugăm să confirmaţi numărul de scaune şi înălţimea peretelui din spate. Preţul nu "
        "include curăţenia, care se poate comanda separat. Vă mulţumim pentru încredere şi aşteptăm răspunsul dumneavoastră.",
        "nume;oraş;sumă\nTâmplar;Braşov;1200\nLumină;Constanţa;800\nConstrucţii;Iaşi;450\n",
        "Ştefan Ionescu\nMădălina Bălan\nŢepeş Răzvan\nIoana Popescu\n",
        "OFERTĂ PENTRU STANDUL DE LA TÂRG\nCURĂŢENIE ŞI ILUMINAT\n",
    ),
    "Greek": Language(
        "cp1253 iso8859_7",
        "Αγαπητοί συνεργάτες, σας στέλνουμε την προσφορά μας για το περίπτερο στην έκθεση της Αθήνας. Η κατασκευή αρχίζει την Τετάρτη "
        "το πρωί και ο φωτισμός θα είναι έτοιμος την επόμενη μέρα. Παρακαλούμε επιβεβαιώστε τον αριθμό των καθισμάτων και το ύψος του "
        "τοίχου. Η τιμή δεν περιλαμβάνει τον καθαρισμό. Ευχαριστούμε πολύ για την εμπιστοσύνη σας.",
        "name;city;amount\nΞυλουργός;Athens;1200\nΦως;Patra;800\nΈκθεση;Volos;450\n",
        "Γιώργος Παπαδόπουλος\nΕλένη Νικολάου\nΆννα Δημητρίου\nΚώστας Ιωάννου\n",
        "ΠΡΟΣΦΟΡΑ ΓΙΑ ΤΟ ΠΕΡΙΠΤΕΡΟ\nΦΩΤΙΣΜΟΣ ΚΑΙ ΚΑΤΑΣΚΕΥΗ\n",
    ),
    "Turkish": Language(
        "cp1254 iso8859_9",
        "Sayın müşterimiz, İstanbul'daki fuar standı için teklifimizi ekte bulabilirsiniz. Kurulum çarşamba sabahı başlayacak, "
        "ışıklandırma ertesi gün hazır olacaktır. Lütfen sandalye sayısını ve arka duvarın yüksekliğini onaylayınız. Temizlik fiyata "
        "dahil değildir, ayrıca sipariş edilebilir. Güveniniz için teşekkür ederiz, iş birliğinizi sürdürmekten mutluluk duyarız.",
        "isim;şehir;tutar\nYıldız;Ankara;1200\nDemir;İzmir;800\nIşık;Bursa;450\n",
        "Ayşe Yılmaz\nMehmet Öztürk\nGökhan Şahin\nÇağla Doğan\nIşıl Kılıç\n",
        "FUAR STANDI İÇİN FİYAT TEKLİFİ\nIŞIKLANDIRMA VE KURULUM ŞARTLARI\n",
    ),
    "Hebrew": Language(
        "cp1255 iso8859_8",
        "לקוחות יקרים, מצורפת הצעת המחיר שלנו לביתן בתערוכה בתל אביב. ההקמה תתחיל ביום רביעי בבוקר והתאורה תהיה מוכנה למחרת. נא לאשר "
        "את מספר הכיסאות ואת גובה הקיר האחורי. המחיר אינו כולל ניקיון, שאותו אפשר להזמין בנפרד. נשמח לעמוד לרשותכם בכל שאלה ולהתחיל את "
        "העבודה מוקדם ככל האפשר. בברכה, צוות האירועים.",
        "name,city,amount\nנגרות כהן,Haifa,1200\nתאורה,Tel Aviv,800\nבניין,Eilat,450\n",
        "משה כהן\nרחל לוי\nדוד מזרחי\nשרה פרידמן\nיוסף ביטון\n",
        "הצעת מחיר לביתן\nתאורה והקמה\n",
    ),
    "Arabic": Language(
        "cp1256 iso8859_6",
        "السادة الكرام، تجدون في المرفق عرض السعر الخاص بجناحكم في معرض الرياض. يبدأ التركيب صباح يوم الأربعاء وتكون الإضاءة جاهزة في "
        "اليوم التالي. نرجو تأكيد عدد الكراسي وارتفاع الجدار الخلفي. لا يشمل السعر أعمال التنظيف ويمكن طلبها على حدة. نشكركم على ثقتكم "
        "ونتطلع إلى التعاون معكم في الفعاليات القادمة إن شاء الله.",
        "name,company,amount\nSara,شركة كيان,1200\nOmar,مؤسسة النور,800\nHuda,Kayan Live,450\n",
        "محمد العتيبي\nفاطمة الزهراني\nعبدالله القحطاني\nنورة السبيعي\nخالد الشمري\n",
        "عرض السعر النهائي\nقائمة الأصناف والكميات\n",
    ),
    "Arabic and English": Language(
        "cp1256 iso8859_6",
        "Dear team, الرجاء مراجعة تصميم الجناح before Thursday. The stage جاهزة للتركيب and the LED wall قيد التصنيع. Hall 3 - القاعة "
        "الثالثة, gate B. Please confirm عدد الضيوف and the catering list قائمة الضيافة. شكرا لكم, Kayan Live. The budget of the event "
        "is 12,400 SAR شامل الضريبة, and the deadline موعد التسليم هو يوم الأحد. Best regards, فريق كيان.",
        "item,qty,وصف\nStage,1,منصة\nLED wall,2,شاشة عرض\nChairs,120,كراسي\n",
        "Ahmed أحمد\nSara سارة\nOmar عمر\nHuda هدى\nKhalid خالد\n",
        "KAYAN LIVE - كيان لايف\nFINAL OFFER عرض السعر النهائي\n",
    ),
    "Persian": Language(
        "cp1256",
        "مشتريان گرامي، پيشنهاد قيمت ما براي غرفه نمايشگاه تهران پيوست است. نصب از صبح چهارشنبه آغاز مي شود و نورپردازي روز بعد آماده "
        "خواهد بود. لطفا تعداد صندلي ها و ارتفاع ديوار پشتي را تاييد کنيد. قيمت شامل نظافت نيست و مي توان آن را جداگانه سفارش داد. از "
        "اعتماد شما سپاسگزاريم و چشم به راه همکاري هستيم.",
        "name,city,amount\nنجاري پارس,Tehran,1200\nچراغ,Shiraz,800\nگروه ژاله,Tabriz,450\n",
        "پرويز گودرزي\nژاله چمني\nمحمد رضايي\nزهرا کريمي\nپگاه چيت چيان\n",
        "پيشنهاد قيمت غرفه\nنورپردازي و چيدمان\n",
    ),
    "Russian": Language(
        _CYRILLIC,
        "Уважаемые коллеги, направляем вам коммерческое предложение на выставочный стенд в Москве. Монтаж начнётся в среду утром, "
        "освещение будет готово на следующий день. Просим подтвердить количество стульев и высоту задней стены. Уборка в стоимость не "
        "входит, её можно заказать отдельно. Благодарим за доверие и надеемся на сотрудничество.",
        "name;city;amount\nСвет;Moscow;1200\nСтройка;Omsk;800\nВыставка;Perm;450\n",
        "Алексей Смирнов\nЕкатерина Кузнецова\nЮрий Щербаков\nОльга Павлова\n",
        "КОММЕРЧЕСКОЕ ПРЕДЛОЖЕНИЕ\nОСВЕЩЕНИЕ И МОНТАЖ СТЕНДА\n",
    ),
    "Ukrainian": Language(
        "cp1251 koi8_u",
        "Шановні колеги, надсилаємо вам комерційну пропозицію щодо виставкового стенда в Києві. Монтаж розпочнеться в середу вранці, "
        "освітлення буде готове наступного дня. Просимо підтвердити кількість стільців і висоту задньої стіни. Прибирання не входить "
        "до вартості, його можна замовити окремо. Дякуємо за довіру та сподіваємося на співпрацю з її командою.",
        "name;city;amount\nСвітло;Kyiv;1200\nБудівля;Lviv;800\nВиїзд;Odesa;450\n",
        "Олексій Шевченко\nКатерина Їжакевич\nЄвген Ткачук\nОльга Гнатюк\n",
        "КОМЕРЦІЙНА ПРОПОЗИЦІЯ\nОСВІТЛЕННЯ ТА МОНТАЖ СТЕНДА\n",
    ),
    "Bulgarian": Language(
        "cp1251 iso8859_5",
        "Уважаеми колеги, изпращаме ви нашата оферта за изложбен щанд в София. Монтажът започва в сряда сутринта, а осветлението ще "
        "бъде готово на следващия ден. Моля, потвърдете броя на столовете и височината на задната стена. Цената не включва почистване, "
        "което може да се поръча отделно. Благодарим за доверието и се надяваме на добро сътрудничество.",
        "name;city;amount\nСветлина;Sofia;1200\nСтроеж;Varna;800\nЩанд;Ruse;450\n",
        "Георги Димитров\nЕлена Стоянова\nЪгъл Щерев\nИван Петров\n",
        "ОФЕРТА ЗА ИЗЛОЖБЕН ЩАНД\nОСВЕТЛЕНИЕ И МОНТАЖ\n",
    ),
    "Lithuanian": Language(
        _BALTIC,
        "Gerbiami klientai, siunčiame pasiūlymą dėl parodos stendo Vilniuje. Montavimas prasidės trečiadienio rytą, o apšvietimas bus "
        "paruoštas kitą dieną. Prašome patvirtinti kėdžių skaičių ir galinės sienos aukštį. Į kainą neįeina valymas, kurį galima "
        "užsakyti atskirai. Dėkojame už pasitikėjimą ir tikimės sėkmingo bendradarbiavimo šią žiemą.",
        "name;city;amount\nŠviesa;Vilnius;1200\nStatyba;Šiauliai;800\nĖriukas;Alytus;450\n",
        "Jonas Žukauskas\nRūta Čepaitė\nAgnė Šimkutė\nTomas Kazlauskas\n",
        "PASIŪLYMAS DĖL PARODOS STENDO\nAPŠVIETIMAS IR ĮRENGIMAS\n",
    ),
    "Latvian": Language(
        _BALTIC,
        "Cienījamie klienti, nosūtām jums piedāvājumu izstādes stendam Rīgā. Montāža sāksies trešdienas rītā, un apgaismojums būs "
        "gatavs nākamajā dienā. Lūdzam apstiprināt krēslu skaitu un aizmugurējās sienas augstumu. Cenā nav iekļauta uzkopšana, ko var "
        "pasūtīt atsevišķi. Pateicamies par uzticību un ceram uz veiksmīgu sadarbību arī šogad.",
        "name;city;amount\nGaisma;Rīga;1200\nBūve;Liepāja;800\nĶirsis;Cēsis;450\n",
        "Jānis Bērziņš\nLīga Ozoliņa\nKārlis Kļaviņš\nInese Šmite\n",
        "PIEDĀVĀJUMS IZSTĀDES STENDAM\nAPGAISMOJUMS UN MONTĀŽA\n",
    ),
    "Vietnamese": Language(
        "cp1258",
        "Kính gửi quý khách hàng, chúng tôi xin gửi báo giá gian hàng triển lãm tại Hà Nội. Việc lắp đặt bắt đầu vào sáng thứ tư và hệ "
        "thống ánh sáng sẽ sẵn sàng vào ngày hôm sau. Xin vui lòng xác nhận số lượng ghế và chiều cao của bức tường phía sau. Giá chưa "
        "bao gồm dọn vệ sinh, có thể đặt riêng. Trân trọng cảm ơn sự tin tưởng của quý vị.",
        "tên;thành phố;số tiền\nÁnh sáng;Hà Nội;1200\nXây dựng;Huế;800\n",
        "Nguyễn Văn Đức\nTrần Thị Hương\nLê Quốc Bảo\nPhạm Thùy Dung\n",
        "BÁO GIÁ GIAN HÀNG TRIỂN LÃM\nÁNH SÁNG VÀ LẮP ĐẶT\n",
    ),
    "Thai": Language(
        "cp874 tis_620",
        "เรียนลูกค้าที่เคารพ เราขอส่งใบเสนอราคาสำหรับบูธนิทรรศการในกรุงเทพฯ การติดตั้งจะเริ่มในเช้าวันพุธ และระบบไฟจะพร้อมในวันถัดไป "
        "กรุณายืนยันจำนวนเก้าอี้และความสูงของผนังด้านหลัง ราคานี้ไม่รวมค่าทำความสะอาดซึ่งสามารถสั่งแยกต่างหากได้ "
        "ขอขอบคุณที่ไว้วางใจและหวังว่าจะได้ร่วมงานกันอีกในโอกาสต่อไป",
        "name,city,amount\nไฟฟ้า,Bangkok,1200\nก่อสร้าง,Phuket,800\nนิทรรศการ,Korat,450\n",
        "สมชาย ใจดี\nวิภา ศรีสุข\nอนันต์ ทองคำ\nมาลี แสงจันทร์\n",
        "ใบเสนอราคาบูธนิทรรศการ\nระบบไฟและการติดตั้ง\n",
    ),
    "Korean": Language(
        "cp949",
        "고객님께, 서울에서 열리는 전시회 부스에 대한 견적서를 첨부하여 보내 드립니다. 설치는 수요일 아침에 시작되며 조명은 다음 날 "
        "준비됩니다. 의자의 수량과 뒷벽의 높이를 확인해 주시기 바랍니다. 청소 비용은 가격에 포함되어 있지 않으며 별도로 주문하실 수 "
        "있습니다. 저희를 믿어 주셔서 감사드리며 앞으로도 함께 일할 수 있기를 바랍니다.",
        "name,city,amount\n조명,Seoul,1200\n건설 회사,Busan,800\n전시,Daegu,450\n",
        "김민수\n이영희\n박지훈\n최수진\n정대현\n",
        "전시회 부스 견적서\n조명 및 설치 안내\n",
    ),
    "Japanese": Language(
        "cp932 euc_jp iso2022_jp",
        "お客様各位、東京で開催される展示会のブースについて、お見積書をお送りいたします。設営は水曜日の朝に始まり、照明は翌日に準備が整"
        "います。椅子の数と背面の壁の高さをご確認ください。清掃費は価格に含まれておりませんが、別途ご注文いただけます。ご信頼いただきあ"
        "りがとうございます。今後ともどうぞよろしくお願い申し上げます。",
        "name,city,amount\n照明,Tokyo,1200\n株式会社カヤン,Osaka,800\n展示,Nagoya,450\n",
        "山田太郎\n佐藤花子\n鈴木一郎\n高橋美咲\n渡辺ケイコ\n",
        "展示会ブースのお見積書\n照明と設営について\n",
    ),
    "Chinese, simplified": Language(
        "gb18030",
        "尊敬的客户,随函附上我们为上海展览会展台所做的报价单。搭建工作将于星期三早上开始,灯光将在第二天准备就绪。请确认椅子的数量和后墙"
        "的高度。价格不包括清洁费用,可以另行订购。感谢您对我们的信任,期待与您继续合作。如果您有任何问题,请随时与我们的项目经理联系。",
        "name,city,amount\n灯光,Shanghai,1200\n建筑公司,Beijing,800\n展览,Shenzhen,450\n",
        "王小明\n李建国\n张丽华\n刘洋\n陈志强\n",
        "展台设计方案和报价单\n灯光与搭建\n",
    ),
    "Chinese, traditional": Language(
        "big5 big5hkscs",
        "尊敬的客戶,隨函附上我們為台北展覽會展台所做的報價單。搭建工作將於星期三早上開始,燈光將在第二天準備就緒。請確認椅子的數量和後牆"
        "的高度。價格不包括清潔費用,可以另行訂購。感謝您對我們的信任,期待與您繼續合作。如果您有任何問題,請隨時與我們的專案經理聯絡。",
        "name,city,amount\n燈光,Taipei,1200\n建築公司,Kaohsiung,800\n展覽,Tainan,450\n",
        "王小明\n李建國\n張麗華\n劉洋\n陳志強\n",
        "展台設計方案和報價單\n燈光與搭建\n",
    ),
}

_SIMPLER = str.maketrans({"€": "EUR", "–": "-", "’": "'", "“": '"', "”": '"', "…": "..."})
_TONES = "\u0300\u0301\u0303\u0309\u0323"


def written(text: str, encoding: str) -> str:
    """The text as people write it where an encoding lacks typographic signs; Vietnamese tones stand behind their letters in cp1258."""
    text = "".join(c if _fits(c, encoding) else c.translate(_SIMPLER) for c in text)
    return "".join(map(_split_tone, text)) if encoding == "cp1258" else text


def _fits(character: str, encoding: str) -> bool:
    return character.encode(encoding, "ignore") != b""


def _split_tone(character: str) -> str:
    parts = unicodedata.normalize("NFD", character)
    return unicodedata.normalize("NFC", "".join(p for p in parts if p not in _TONES)) + "".join(p for p in parts if p in _TONES)
